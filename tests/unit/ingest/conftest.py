"""Fixtures of the ingest tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from riskwire.settings import Settings

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def shared() -> Path:
    """The folder of shared data, which is not part of the repository. Skips the test where it is missing."""
    root = Path(os.environ.get("RISKWIRE_SHARED", REPOSITORY.parent / "shared"))
    if not (root / "data").is_dir():
        pytest.skip("../shared/data does not exist")
    return root


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Default settings with an empty data directory."""
    return Settings(data=tmp_path / "data")
