"""What the tests of dead letters share: a bus of their own, settings that lead to it, and letters on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from riskwire.bus import Bus, Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.pipeline import Topic
from riskwire.records import DeadLetter
from riskwire.settings import BusSettings, Settings


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    """An embedded bus without a record."""
    bus = await EmbeddedBus.open(tmp_path, BusSettings())
    yield bus
    await bus.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those with which a command opens that bus."""
    return Settings(data=tmp_path)


@pytest.fixture
def post(bus: Bus) -> Callable[[Iterable[DeadLetter]], Awaitable[None]]:
    """Puts letters onto the first partition, in one step."""

    async def posted(letters: Iterable[DeadLetter]) -> None:
        async with bus.publisher("stage") as publisher:
            await publisher.publish([Outgoing(Topic.DEAD_LETTERS, None, one.to_bytes(), 0) for one in letters], {})

    return posted
