"""A data folder of invented sentences, in the files and formats of the catalogue."""

from __future__ import annotations

import json
import re
from pathlib import Path

from riskwire_models.data.catalogue import CATALOGUE, DEFAULT_TRAINING, NEVER_SEEN

FIRST_WORDS = ("Acme", "Globex", "Initech", "Umbrella", "Wayne", "Stark", "Hooli", "Vandelay", "Tyrell", "Soylent")
SECOND_WORDS = ("Motors", "Energy", "Foods", "Bank", "Airlines", "Steel")
DAYS = ("Monday", "Tuesday", "Friday")
NAMES = tuple(f"{first} {second}" for first in FIRST_WORDS for second in SECOND_WORDS)


def _sentences(end: str) -> list[tuple[str, str]]:
    """Returns sentences with the company that each is about."""
    return [(f"{name} plunges on {day} after the {end}", name) for name in NAMES for day in DAYS]


def _json_lines(kind: str) -> list[str]:
    """Returns the JSON lines of a data set of that kind.

    All sentences have the same labels, so that a few steps learn them with a wide margin. Otherwise the gate refuses
    the bundle, since rounding would decide between labels of almost equal probability.
    """
    fall = {"level": "2", "events": ["price_fall"]}
    if kind == "risk statements":
        rows = [{"text": f"{{A}} plunges on {day}", "targets": [{"name": "{A}", **fall}], "events": []} for day in DAYS]
    elif kind == "risk":
        rows = [
            {"text": text, "targets": [{"start": 0, "end": len(name), **fall}], "events": []}
            for text, name in _sentences("audit")
        ]
    else:
        labels = {"sentiment": {"label": "negative"}, "topic": {"label": "Stock Movement"}, "target": {}}[kind]
        rows = [{"text": text, **labels} for text, _ in _sentences("report")]
        if kind == "target":
            for row, (_, name) in zip(rows, _sentences("report"), strict=True):
                row["entities"] = [{"start": 0, "end": len(name), "label": "negative"}]
    return [json.dumps(row) for row in rows]


def _bio_lines() -> list[str]:
    lines: list[str] = []
    for name in NAMES:
        first, second = name.split()
        words = [(first, "B-ORG"), (second, "I-ORG"), ("opens", "O"), ("in", "O"), ("Paris", "B-LOC")]
        lines += [f"{word}\t{tag}" for word, tag in words] + [""]
    return lines


def write_data_folder(folder: Path) -> Path:
    """Writes all training sets, and the first set that is never trained on, since users may not have the others."""
    for data_set in CATALOGUE:
        if data_set.name not in (*DEFAULT_TRAINING, NEVER_SEEN[0]):
            continue
        for file in data_set.files:
            path = folder / file
            path.parent.mkdir(exist_ok=True, parents=True)
            if file.startswith("tables/"):
                table = [[number, f"{name} Inc.", "", ""] for number, name in enumerate(NAMES)]
                path.write_text(json.dumps({"data": table}), encoding="utf-8")
            else:
                lines = _bio_lines() if data_set.kind == "ner" else _json_lines(data_set.kind)
                path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def words_of(folder: Path) -> list[str]:
    """Returns the lower-case words of all sentences in a data folder, sorted."""
    texts = [path.read_text(encoding="utf-8").lower() for path in folder.rglob("*") if path.is_file()]
    return sorted({word for text in texts for word in re.findall(r"[a-z]{2,}", text)})
