"""The tiny bundle of tests/conftest.py with all that a manifest of `riskwire_models` states."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

#: What the engine does not read, and a manifest states.
REMAINING_FIELDS = {
    "base": {"name": "none", "licence": "Apache-2.0", "source": "written by hand"},
    "training": [],
    "scores": {},
    "seed": 17,
    "command": "none",
}
BundleCopy = Callable[..., Path]


@pytest.fixture
def bundle_copy(tiny_bundle: Path, tmp_path: Path) -> BundleCopy:
    """Returns a function that copies the tiny bundle and returns the copy's folder.

    The argument ``without`` names heads that the manifest of the copy leaves out.
    """

    def copied(*, without: tuple[str, ...] = ()) -> Path:
        folder = tmp_path / "bundle"
        shutil.copytree(tiny_bundle, folder)
        manifest = json.loads((folder / "bundle.json").read_text()) | REMAINING_FIELDS
        for head in without:
            del manifest["heads"][head]
        (folder / "bundle.json").write_text(json.dumps(manifest))
        return folder

    return copied
