"""bundle.json, the manifest of a bundle: a folder with a tokenizer and one ONNX file per precision.

Each ONNX file has the inputs ``input_ids`` and ``attention_mask``, both int64 [batch, tokens]. Its outputs are float32
logits: ``sentiment`` [batch, 3], ``entities`` [batch, tokens, 9], ``target_sentiment`` [batch, tokens, 3], ``topics``
[batch, 20], ``level`` [batch, tokens, 4], ``events`` [batch, tokens, 42]. The logits of a mention are the means of
``target_sentiment``, ``level`` and ``events`` over its word pieces. Those of ``events`` are independent (sigmoid). At
token 0 they are those of the events that belong to no mention.

A bundle may hold a second model with its own tokenizer (``sentiment_model``), whose only output is ``sentiment``. The
first model then has the other heads. Heads that a bundle lacks are not listed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from riskwire_models.errors import BundleFolderError

FILE = "bundle.json"
GRAPH_INPUTS = ("input_ids", "attention_mask")
#: The inference engine pads a sentence to the next multiple of this many word pieces. A batch holds sentences of one
#: padded length, and at least `MIN_BATCH_ROWS` rows. So the results of a sentence do not depend on its batch.
PADDING_MULTIPLE = 16
MIN_BATCH_ROWS = 2


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HeadEntry(_Strict):
    """The labels of a head in the order of its logits, which are divided by ``temperature`` before the softmax.

    Attributes:
        threshold: the probability from which a mention is adverse (level), or an event is named (events).
    """

    labels: tuple[str, ...]
    temperature: float | None = None
    threshold: float | None = None


class FileEntry(_Strict):
    """A file of the bundle: its path relative to the bundle folder, its checksum, and the device it is meant for.

    Attributes:
        skeleton: the file from which this one is derived where it is needed (`derive`); then it need not be there.
    """

    path: str
    sha256: str
    device: Literal["cpu", "cuda"] | None = None
    skeleton: FileEntry | None = None


class BaseModelEntry(_Strict):
    """The pretrained model from which training of the encoder started."""

    name: str
    licence: str
    source: str


class TrainingSetEntry(_Strict):
    """A data set that the bundle was trained on."""

    name: str
    rows: int
    licence: str
    attribution: str
    used_for: tuple[str, ...]
    note: str = ""


class LookEntry(_Strict):
    """One look at the open test set (``riskwire model look``).

    Attributes:
        at: UTC time in ISO 8601.
        figures: what was measured: numbers, and figures as [value, lower end, upper end of the 95 % interval].
    """

    at: str
    figures: dict[str, Any]


class SentimentModelEntry(_Strict):
    """A second model of a bundle, with its own tokenizer: its only output is ``sentiment``.

    Attributes:
        max_length: most word pieces of a sentence.
        base: the checkpoint that it was exported from.
    """

    max_length: int
    tokenizer: FileEntry
    files: dict[str, FileEntry]
    base: BaseModelEntry


class BundleManifest(_Strict):
    """The content of bundle.json.

    Attributes:
        sentiment_model: the model that gives the sentiment of sentences, if that is not the first model.
        encoder: configuration of the encoder in the form of transformers, from which training can go on.
        looks: the looks at the open test set, oldest first.
    """

    format: Literal[1] = 1
    name: str
    version: str
    created: str
    languages: tuple[str, ...]
    max_length: int
    heads: dict[str, HeadEntry]
    tokenizer: FileEntry
    files: dict[str, FileEntry]
    base: BaseModelEntry
    encoder: dict[str, Any] | None = None
    training: tuple[TrainingSetEntry, ...]
    scores: dict[str, Any]
    seed: int
    command: str
    notes: tuple[str, ...] = ()
    looks: tuple[LookEntry, ...] = ()
    sentiment_model: SentimentModelEntry | None = None

    @property
    def cpu_file(self) -> FileEntry:
        """The int8 file, which is always part of a shipped bundle; without one the first file that is listed."""
        return self.files.get("int8") or next(iter(self.files.values()))

    @property
    def listed_files(self) -> tuple[FileEntry, ...]:
        """The tokenizers and ONNX files of all models."""
        models = (self, self.sentiment_model)
        return tuple(
            entry for model in models if model is not None for entry in (model.tokenizer, *model.files.values())
        )


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_entry(folder: Path, name: str, device: Literal["cpu", "cuda"] | None = None) -> FileEntry:
    """Returns the entry of a file of the folder. Raises BundleFolderError if the file is missing."""
    path = folder / name
    if not path.is_file():
        raise BundleFolderError(f"no {name} in {folder}: write it before the manifest is made")
    return FileEntry(path=name, sha256=sha256_of(path), device=device)


def write_manifest(folder: Path, manifest: BundleManifest) -> Path:
    """Writes bundle.json in one step, so that a fault leaves the old file, and returns its path."""
    path = folder / FILE
    partial = path.with_suffix(".partial")
    partial.write_text(manifest.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
    os.replace(partial, path)
    return path


def read_manifest(folder: Path, *, verify: bool = True) -> BundleManifest:
    """Reads bundle.json, and compares the checksum of each file if ``verify``.

    Raises:
        BundleFolderError: bundle.json is missing or invalid, or a file is missing or has a different checksum.
    """
    path = folder / FILE
    try:
        manifest = BundleManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleFolderError(f"no bundle in {folder}: {error}") from error
    except ValidationError as error:
        raise BundleFolderError(f"{path} is not a bundle of format 1: {error}") from error
    if verify:
        for listed in manifest.listed_files:
            is_derived = listed.skeleton is not None and not (folder / listed.path).is_file()
            entry = listed.skeleton if is_derived and listed.skeleton else listed
            file = folder / entry.path
            if not file.is_file():
                raise BundleFolderError(f"{file} is listed in {FILE} but does not exist")
            if (digest := sha256_of(file)) != entry.sha256:
                raise BundleFolderError(f"{file} has SHA-256 {digest}, {FILE} lists {entry.sha256}")
    return manifest
