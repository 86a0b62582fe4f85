"""Fixtures of the tests of the image: an engine, and riskwire's image.

They take minutes, so they are not part of `make test`: `make image-test` runs them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from containers.engine import FOLDER, ContainerEngine, import_base, missing_engine, running_engine
from containers.tools import ROOT

BASE, BUILD_BASE, IMAGE = "riskwire-test/python", "riskwire-test/python-build", "riskwire-test/riskwire:cpu"
STAND_INS = Path(__file__).parent / "stand_ins"


@pytest.fixture(scope="session")
def engine() -> Iterator[ContainerEngine]:
    """A container engine."""
    missing = missing_engine()
    if missing is not None:
        pytest.skip(missing)
    with running_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def base(engine: ContainerEngine) -> str:
    """The name of the image of Debian with Python that all others are made from."""
    import_base(engine, BASE)
    return BASE


@pytest.fixture(scope="session")
def bases(engine: ContainerEngine, base: str) -> dict[str, str]:
    """The build arguments that name the bases of riskwire's image."""
    if not engine.has_image(BUILD_BASE):
        engine.build(BUILD_BASE, STAND_INS / "Dockerfile", STAND_INS, target="python-build", BASE=base)
    return {"BASE": base, "BUILD_BASE": BUILD_BASE}


@pytest.fixture(scope="session")
def image(engine: ContainerEngine, bases: dict[str, str]) -> str:
    """The name of riskwire's image, built from this tree; prints how long that took."""
    arguments = {**bases, "VERSION": "test", "REVISION": "none"}
    seconds = engine.build(IMAGE, ROOT / "deploy" / "Dockerfile", ROOT, target="cpu", **arguments)
    print(f"\nbuilt {IMAGE} in {seconds:.0f} s")
    return IMAGE


@pytest.fixture(scope="session")
def scratch() -> Path:
    """A folder that the engine can mount, empty at the start."""
    folder = FOLDER / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
