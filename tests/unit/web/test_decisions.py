"""What people decide at the same moment is all taken."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.pipeline import Topic
from riskwire.records import Command
from riskwire.settings import BusSettings
from riskwire.web import decisions_to

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def test_of_many_who_press_a_button_at_once_all_are_heard(tmp_path: Path) -> None:
    here, there = [await EmbeddedBus.open(tmp_path, BusSettings()) for _ in range(2)]
    try:
        desks = [decisions_to(here), decisions_to(there)]
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for number in range(20):
                command = Command(kind="acknowledge", alert=f"a{number}", by="ann", at=NOON)
                group.create_task(desks[number % 2](command))
        partitions = range(here.partitions(Topic.COMMANDS))
        found = [message for p in partitions for message in await here.read(Topic.COMMANDS, p, 0, 100)]
    finally:
        await here.close()
        await there.close()
    assert sorted(message.key or "" for message in found) == sorted(f"a{number}" for number in range(20))
