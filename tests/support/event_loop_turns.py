"""Counts how often other tasks run while the infer stage works on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from riskwire.bus import Message
from riskwire.inference.stage import InferStage
from riskwire.pipeline import Topic


async def count_other_turns(stage: InferStage, batch: Sequence[Message]) -> int:
    """Returns how often a task that is always ready runs while the stage links and writes a batch.

    It also checks that each article of the batch gets an analysis.
    """
    turns = 0

    async def count() -> None:
        """Counts the turns of the event loop at which the stage holds its lock, which it does to link and write."""
        nonlocal turns
        while True:
            turns += stage.event_loop_turn.locked()
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    step = await stage.open(0, {}).process(batch)
    counting.cancel()
    assert sum(outgoing.topic == Topic.ANALYSES for outgoing in step.results) == len(batch)
    return turns
