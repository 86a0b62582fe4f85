"""The bundle: a folder with bundle.json, tokenizer.json and one ONNX file per precision.

Graph contract. Inputs ``input_ids`` and ``attention_mask``, int64 [batch, tokens]. Outputs, float32 logits:
``sentiment`` [batch, 3], ``entities`` [batch, tokens, 9], ``target_sentiment`` [batch, tokens, 3] (the logits toward a
mention are the mean over its word pieces), ``topics`` [batch, 20].
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from riskwire_models.errors import BundleError

FILE = "bundle.json"
INPUTS = ("input_ids", "attention_mask")
#: A sentence is padded to the next multiple of this many word pieces, whatever stands beside it in the batch, and a
#: batch holds sentences of one padded length and two rows at least: so its results do not depend on its neighbours.
PADDING_MULTIPLE = 16
LEAST_ROWS = 2


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Head(_Strict):
    """Labels in the order of the logits; logits are divided by ``temperature`` before the softmax."""

    labels: tuple[str, ...]
    temperature: float | None = None


class FileEntry(_Strict):
    """A file of the bundle, relative to its folder."""

    path: str
    sha256: str
    device: Literal["cpu", "cuda"] | None = None


class Base(_Strict):
    """The checkpoint the encoder started from."""

    name: str
    licence: str
    source: str


class TrainingSet(_Strict):
    """A data set the bundle was trained on."""

    name: str
    rows: int
    licence: str
    attribution: str
    used_for: tuple[str, ...]
    note: str = ""


class Bundle(_Strict):
    """bundle.json."""

    format: Literal[1] = 1
    name: str
    version: str
    created: str
    languages: tuple[str, ...]
    max_length: int
    heads: dict[str, Head]
    tokenizer: FileEntry
    files: dict[str, FileEntry]
    base: Base
    training: tuple[TrainingSet, ...]
    scores: dict[str, Any]
    seed: int
    command: str
    notes: tuple[str, ...] = ()


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entry_for(folder: Path, name: str, device: Literal["cpu", "cuda"] | None = None) -> FileEntry:
    """The entry of a file that lies in the folder; `BundleError` when it does not."""
    path = folder / name
    if not path.is_file():
        raise BundleError(f"no {name} in {folder}: export writes it before the bundle is described")
    return FileEntry(path=name, sha256=sha256_of(path), device=device)


def write_bundle(folder: Path, bundle: Bundle) -> Path:
    """Writes bundle.json."""
    path = folder / FILE
    path.write_text(bundle.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
    return path


def read_bundle(folder: Path, *, verify: bool = True) -> Bundle:
    """The bundle of a folder; with ``verify`` every checksum is compared. `BundleError` says which file is wrong."""
    path = folder / FILE
    try:
        bundle = Bundle.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleError(f"no bundle in {folder}: {error}") from error
    except ValidationError as error:
        raise BundleError(f"{path} is not a bundle of format 1: {error}") from error
    if verify:
        for entry in (bundle.tokenizer, *bundle.files.values()):
            file = folder / entry.path
            if not file.is_file():
                raise BundleError(f"{file} is named in {FILE} but is not there")
            if (found := sha256_of(file)) != entry.sha256:
                raise BundleError(f"{file} has SHA-256 {found}, {FILE} says {entry.sha256}")
    return bundle
