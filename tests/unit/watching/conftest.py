from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from riskwire.bus.embedded import EmbeddedBus
from riskwire.settings import BusSettings


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[EmbeddedBus]:
    opened = await EmbeddedBus.open(tmp_path, BusSettings())
    try:
        yield opened
    finally:
        await opened.close()
