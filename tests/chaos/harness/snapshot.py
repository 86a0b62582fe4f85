"""The code under test, as it stood when the run began: a worker that is started an hour later runs the same."""

from __future__ import annotations

import compileall
import shutil
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

ROOT = Path(__file__).parents[3]
_PACKAGES = (Path("services/riskwire"), Path("models/riskwire_models"))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of the packages; `digest` names code, tables and model together."""

    folders: tuple[Path, ...]
    digest: str

    @property
    def python_path(self) -> str:
        """For PYTHONPATH: goes before whatever is installed."""
        return ":".join(map(str, self.folders))


def taken(folder: Path) -> Snapshot:
    """Copy the packages of this checkout into `folder`, compiled: a hundred workers are started of them."""
    digest = blake2b(digest_size=12)
    for package in _PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        for path in sorted((folder / package).rglob("*")):
            if path.is_file():
                digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
        compileall.compile_dir(folder / package, quiet=2, workers=1)
    return Snapshot(tuple(folder / package.parent for package in _PACKAGES), digest.hexdigest())
