"""A bus, settings that lead to it, and a way to publish dead letters."""

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
    """An empty embedded bus."""
    bus = await EmbeddedBus.open(tmp_path, BusSettings())
    yield bus
    await bus.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings with which a command opens this bus."""
    return Settings(data=tmp_path)


@pytest.fixture
def publish(bus: Bus) -> Callable[[Iterable[DeadLetter]], Awaitable[None]]:
    """Publishes dead letters on the first partition, in one step."""

    async def publish_letters(letters: Iterable[DeadLetter]) -> None:
        """Publishes dead letters in one step, on partition 0."""
        async with bus.publisher("stage") as publisher:
            await publisher.publish(
                [Outgoing(Topic.DEAD_LETTERS, None, letter.to_bytes(), 0) for letter in letters], {}
            )

    return publish_letters
