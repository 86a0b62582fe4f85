"""A bus on a directory of the test's own, closed at the end."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.settings import BusSettings

pytest.register_assert_rewrite("contract")
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
async def open_embedded(tmp_path: Path) -> AsyncIterator:
    """`open_embedded(**settings)`: the embedded bus of the test's directory."""
    opened: list[EmbeddedBus] = []

    async def open_one(**settings: object) -> EmbeddedBus:
        opened.append(await EmbeddedBus.open(tmp_path / "data", BusSettings.model_validate(settings)))
        return opened[-1]

    yield open_one
    for bus in opened:
        await bus.close()
