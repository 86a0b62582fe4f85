"""Publishing commands from several processes at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.pipeline import Topic
from riskwire.records import Command
from riskwire.settings import BusSettings
from riskwire.web import command_publisher

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def test_every_command_is_published_when_two_processes_publish_at_once(tmp_path: Path) -> None:
    """Two buses on one folder are two processes. Their publishers have one name, so each may fence the other."""
    first_bus, second_bus = [await EmbeddedBus.open(tmp_path, BusSettings()) for _ in range(2)]
    try:
        publishers = [command_publisher(first_bus), command_publisher(second_bus)]
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for number in range(20):
                command = Command(kind="acknowledge", alert=f"a{number}", by="ann", at=NOON)
                group.create_task(publishers[number % 2](command))
        partitions = range(first_bus.partitions(Topic.COMMANDS))
        messages = [
            message for partition in partitions for message in await first_bus.read(Topic.COMMANDS, partition, 0, 100)
        ]
    finally:
        await first_bus.close()
        await second_bus.close()
    assert sorted(message.key or "" for message in messages) == sorted(f"a{number}" for number in range(20))
