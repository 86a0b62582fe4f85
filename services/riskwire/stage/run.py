"""Runs a stage: joins its consumer group, serves each assigned partition in a task, and reports failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import cast

import structlog

from riskwire import metrics
from riskwire.bus import Assignment, Bus
from riskwire.errors import BusError, is_fatal, leaves
from riskwire.pipeline import StageKind
from riskwire.stage.batch_loop import BatchLoop, BatchStage
from riskwire.stage.effect_loop import EffectLoop, EffectStage

log = structlog.get_logger(__name__)

Stage = BatchStage | EffectStage
"""A stage of either kind; `stage.spec.kind` says which."""


async def run_stage(bus: Bus, stage: Stage, *, batch: int, fetch_timeout_s: float = 1.0) -> None:
    """Runs a stage on every partition it is assigned, until the bus is closed.

    On the embedded bus, it also ends when another worker of the group joins. A stage of kind `EFFECTS` is entered as a
    context manager while it runs.

    Args:
        batch: the most records of one step, unless the stage's spec says otherwise.
        fetch_timeout_s: how long one fetch waits for records.

    Raises:
        RiskwireError: the stage cannot continue. Any other error that ends a partition's loop is raised as it is. Of
            failures on several partitions one is raised, a fatal one if there is any; the others are logged.
    """
    max_batch = stage.spec.max_batch or batch

    async def serve(assignment: Assignment) -> None:
        """Runs the loop for the kind of the stage on one partition, until it is revoked."""
        if stage.spec.kind is StageKind.EFFECTS:
            effects = cast("EffectStage", stage)
            await EffectLoop(effects, assignment, max_batch=max_batch, fetch_timeout_s=fetch_timeout_s).run()
        else:
            batches = cast("BatchStage", stage)
            await BatchLoop(batches, assignment, max_batch=max_batch, fetch_timeout_s=fetch_timeout_s).run()

    failure: BaseException | None = None
    try:
        async with AsyncExitStack() as stack:
            if stage.spec.kind is StageKind.EFFECTS:
                await stack.enter_async_context(cast("EffectStage", stage))
            await _serve_assignments(bus, stage, serve)
    except BaseExceptionGroup as failures:
        failure, *suppressed = sorted(leaves(failures), key=is_fatal, reverse=True)
        for error in suppressed:
            log.error("stage failed", stage=stage.spec.name, error=repr(error))
    if failure is not None:
        metrics.count_error(stage.spec.name, failure)
        # Raised outside the `except` block: otherwise its context would be the group that contains it.
        raise failure


async def _serve_assignments(bus: Bus, stage: Stage, serve: Callable[[Assignment], Awaitable[None]]) -> None:
    """Runs `serve` on each partition that the stage's group assigns to this worker, until the bus is closed.

    Partitions are served concurrently. A partition that is revoked ends its `serve` without an error.

    Raises:
        ExceptionGroup: `serve` failed on a partition that this worker still owns; the others were cancelled.
    """

    async def serve_until_revoked(assignment: Assignment) -> None:
        """Runs `serve` on one partition; ignores a bus error after the partition was revoked."""
        try:
            await serve(assignment)
        except BusError:
            # The step that failed was not committed: the next owner of the partition takes it again.
            if not assignment.revoked:
                raise

    async with asyncio.TaskGroup() as group:
        async for assignment in bus.assignments(stage.spec.name, stage.spec.reads):
            group.create_task(serve_until_revoked(assignment), name=f"{stage.spec.name}-{assignment.partition}")
