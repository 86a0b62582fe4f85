"""The membership of the embedded bus after another process took over, and `reach` while its reader is blocked."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from riskwire.errors import BusError
from riskwire.pipeline import Topic


async def test_a_group_that_another_process_took_over_is_outside_from_then_on(open_embedded) -> None:
    """Two buses on one file: after the second has joined, the first has no partition and knows since when."""
    first, second = await open_embedded(partitions=1), await open_embedded(partitions=1)
    assignments = first.assignments("infer", Topic.ARTICLES)
    await anext(assignments)
    before = time.monotonic()
    await anext(second.assignments("infer", Topic.ARTICLES))
    assert await anext(assignments, None) is None, "the first bus has noticed the takeover"
    outside_since = first.membership("infer").outside_since
    assert outside_since is not None
    assert outside_since >= before
    assert first.membership("infer").partitions == ()
    assert second.membership("infer").outside_since is None


async def test_a_waiting_stage_whose_group_was_taken_over_gets_a_bus_error(open_embedded) -> None:
    """The fetch of the stale assignment makes the first bus notice that the second has joined."""
    first, second = await open_embedded(partitions=1), await open_embedded(partitions=1)
    stale = await anext(first.assignments("history", Topic.COMMANDS))
    await anext(second.assignments("history", Topic.COMMANDS))
    await stale.fetch(1, 10)
    with pytest.raises(BusError, match="another worker owns the partitions of history now"):
        await first.lag_of_waiting_stage("history")


async def test_reach_raises_within_its_timeout_while_the_reader_is_blocked(open_embedded) -> None:
    """The thread that reads the file is blocked: `reach(0.1)` raises at once, and works again afterwards."""
    bus = await open_embedded()
    unblock = threading.Event()
    blocked = asyncio.create_task(bus._reader.run(lambda connection: unblock.wait(30)))
    try:
        started = time.monotonic()
        with pytest.raises(BusError, match="does not answer within"):
            await bus.reach(0.1)
        assert time.monotonic() - started < 10
    finally:
        unblock.set()
        await blocked
    await bus.reach(10)
