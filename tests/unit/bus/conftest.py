"""A fixture that opens the embedded bus on a temporary directory."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.settings import BusSettings

pytest.register_assert_rewrite("contract", "backpressure_contract")
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
async def open_embedded(tmp_path: Path) -> AsyncIterator:
    """`open_embedded(**settings)`: opens the embedded bus of the test; closes it at the end.

    Each call opens another bus on the same file, as another process would.
    """
    opened: list[EmbeddedBus] = []

    async def open_bus(**settings: object) -> EmbeddedBus:
        opened.append(await EmbeddedBus.open(tmp_path / "data", BusSettings.model_validate(settings)))
        return opened[-1]

    yield open_bus
    for bus in opened:
        await bus.close()
