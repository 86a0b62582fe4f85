"""A copy of the code under test, so that a worker that starts an hour later runs the same code."""

from __future__ import annotations

import compileall
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

ROOT = Path(__file__).parents[4]
_PACKAGES = (Path("services/riskwire"), Path("models/riskwire_models"))


@dataclass(frozen=True, slots=True)
class CodeSnapshot:
    """A copy of the packages. ``digest`` covers the code, its tables and the model."""

    folders: tuple[Path, ...]
    digest: str

    @property
    def python_path(self) -> str:
        """The value of PYTHONPATH, which takes precedence over installed packages."""
        return ":".join(map(str, self.folders))


def take_snapshot(folder: Path, revision: str | None = None) -> CodeSnapshot:
    """Copies the packages of this checkout into ``folder``, and compiles them, since many workers start from them.

    Its digest changes with any path or content of a file.

    Args:
        revision: the commit whose packages are taken; by default the files of the checkout.
    """
    digest = blake2b(digest_size=12)
    if revision is not None:
        _unpack(revision, folder)
    for package in _PACKAGES:
        if revision is None:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        for path in sorted((folder / package).rglob("*")):
            if path.is_file():
                digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
        compileall.compile_dir(folder / package, quiet=2, workers=1)
    return CodeSnapshot(tuple(folder / package.parent for package in _PACKAGES), digest.hexdigest())


def _unpack(revision: str, folder: Path) -> None:
    """Writes the packages of a commit into ``folder``."""
    folder.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "archive", revision, *map(str, _PACKAGES)], cwd=ROOT, capture_output=True, check=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
