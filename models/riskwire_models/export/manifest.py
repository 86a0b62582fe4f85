"""bundle.json, the manifest of a bundle: a folder with a tokenizer and one ONNX file per precision.

Each ONNX file has the inputs ``input_ids`` and ``attention_mask``, both int64 [batch, tokens]. Its outputs are float32
logits: ``sentiment`` [batch, 3], ``entities`` [batch, tokens, 9], ``target_sentiment`` [batch, tokens, 3], ``topics``
[batch, 20]. The sentiment toward a mention is the mean of ``target_sentiment`` over its word pieces.
"""

from __future__ import annotations

import hashlib
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
    """The labels of a head in the order of its logits, which are divided by ``temperature`` before the softmax."""

    labels: tuple[str, ...]
    temperature: float | None = None


class FileEntry(_Strict):
    """A file of the bundle: its path relative to the bundle folder, its checksum, and the device it is meant for."""

    path: str
    sha256: str
    device: Literal["cpu", "cuda"] | None = None


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


class BundleManifest(_Strict):
    """The content of bundle.json."""

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
    training: tuple[TrainingSetEntry, ...]
    scores: dict[str, Any]
    seed: int
    command: str
    notes: tuple[str, ...] = ()


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
    """Writes bundle.json and returns its path."""
    path = folder / FILE
    path.write_text(manifest.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
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
        for entry in (manifest.tokenizer, *manifest.files.values()):
            file = folder / entry.path
            if not file.is_file():
                raise BundleFolderError(f"{file} is listed in {FILE} but does not exist")
            if (digest := sha256_of(file)) != entry.sha256:
                raise BundleFolderError(f"{file} has SHA-256 {digest}, {FILE} lists {entry.sha256}")
    return manifest
