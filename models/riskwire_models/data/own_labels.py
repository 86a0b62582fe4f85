"""Reads a user's own labels: JSON lines or CSV, checked row by row.

JSON lines: ``{"text": …, "targets": [{"start": 0, "end": 5, "level": "material", "events": ["recall"]}]}``. A target
may have ``name`` in place of ``start`` and ``end``, and a ``sentiment``.

CSV: the columns ``text``, ``target`` and ``level``, and if wanted ``events`` (separated by spaces or ``+``) and
``sentiment``; one row a target. Levels are those of the model or the codes of the labelling guide (0, 1, 2, +).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from riskwire_models.data.examples import Example
from riskwire_models.data.labels import EVENT_TYPES, LEVELS, SENTIMENTS, LabelledTarget
from riskwire_models.data.risk import GUIDE_LEVELS
from riskwire_models.errors import TrainingDataError

#: Source of the examples of own labels.
SOURCE = "own"


def read_own_labels(path: Path) -> list[Example]:
    """Returns the texts of a file with their labels; the rows of one text become one example.

    Raises:
        TrainingDataError: the file is missing or empty, or rows are wrong; the message names the first five wrong rows.
    """
    if not path.is_file():
        raise TrainingDataError(f"no file of labels {path}")
    by_text: dict[str, list[LabelledTarget]] = {}
    faults: list[str] = []
    for number, row in _rows(path):
        try:
            text, targets = _labelled(row)
        except ValueError as error:
            faults.append(f"line {number}: {error}")
            continue
        by_text.setdefault(text, []).extend(targets)
    if faults:
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise TrainingDataError(f"{path}: {'; '.join(faults[:5])}{more}")
    if not by_text:
        raise TrainingDataError(f"{path} has no labels")
    return [Example(text, SOURCE, targets=tuple(targets)) for text, targets in by_text.items()]


def _rows(path: Path) -> Iterator[tuple[int, object]]:
    """Yields (line number, row) of a CSV file, or of a file of JSON lines. A line that is not JSON is a fault."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix.lower() == ".csv":
            reader = csv.DictReader(file)
            for row in reader:
                yield (
                    reader.line_num,
                    {
                        "text": row.get("text"),
                        "targets": [{**row, "name": row.get("target"), "events": _split(row.get("events"))}],
                    },
                )
            return
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    yield number, f"not JSON ({error})"


def _split(events: str | None) -> list[str]:
    return (events or "").replace("+", " ").replace(",", " ").split()


def _labelled(row: object) -> tuple[str, list[LabelledTarget]]:
    """Returns the text of a row and its targets. Raises ValueError with what is wrong and the value."""
    if isinstance(row, str):
        raise ValueError(row)
    if not isinstance(row, Mapping) or not isinstance(row.get("text"), str) or not row["text"].strip():
        raise ValueError("expected a 'text'")
    targets = row.get("targets")
    if not isinstance(targets, list) or not all(isinstance(target, Mapping) for target in targets):
        raise ValueError("expected a list of 'targets'")
    return row["text"], [_target(row["text"], target) for target in targets]


def _target(text: str, target: Mapping[str, Any]) -> LabelledTarget:
    """Returns a target of a row. Raises ValueError if a label is unknown or the span does not fit the text."""
    start, end = target.get("start"), target.get("end")
    if start is None or end is None:
        name = target.get("name") or ""
        start = text.find(name) if name else -1
        end = start + len(name)
        if start < 0:
            raise ValueError(f"target {name!r} is not in the text {text[:60]!r}")
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(text):
        raise ValueError(f"span {start!r} to {end!r} does not fit a text of {len(text)} characters")
    level = target.get("level") or None
    level = GUIDE_LEVELS.get(str(level), level) if level is not None else None
    sentiment = target.get("sentiment") or None
    for label, labels in ((level, LEVELS), (sentiment, SENTIMENTS)):
        if label is not None and label not in labels:
            raise ValueError(f"{label!r} is not one of {', '.join(labels)}")
    events = target.get("events")
    for event in events or ():
        if event not in EVENT_TYPES:
            raise ValueError(f"event {event!r} is not one of the codes of the labelling guide")
    return LabelledTarget(start, end, sentiment, level, None if level is None and not events else tuple(events or ()))
