from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from past import PastWorld

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.settings import BusSettings, Settings
from riskwire.store import Store


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[EmbeddedBus]:
    """Yields a new embedded bus, and closes it at the end."""
    opened = await EmbeddedBus.open(tmp_path, BusSettings())
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data=tmp_path)) as opened:
        yield opened


@pytest.fixture
async def world(tiny_bundle: Path, store: Store) -> AsyncIterator[PastWorld]:
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        yield PastWorld(engine, store)
