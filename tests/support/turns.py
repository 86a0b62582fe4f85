"""Whether a stage lets others have their turn while it works on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from riskwire.bus import Message
from riskwire.inference.stage import InferStage
from riskwire.pipeline import Topic


async def turns_of_others(stage: InferStage, batch: Sequence[Message]) -> int:
    """How often a task that is always ready runs while the stage links and writes what it has read; each article of
    the batch has its analysis then."""
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            turns += stage.event_loop_turn.locked()
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    step = await stage.open(0, {}).process(batch)
    watching.cancel()
    assert sum(one.topic == Topic.ANALYSES for one in step.results) == len(batch)
    return turns
