from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import fictional
import pytest

from riskwire.settings import Settings
from riskwire.store import Store


@pytest.fixture(scope="session")
def news() -> ModuleType:
    """Returns the builders of fictional records."""
    return fictional


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store.open(settings) as store:
        yield store
