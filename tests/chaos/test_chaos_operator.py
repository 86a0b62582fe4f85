"""A background task that fails is logged and reported, and a run whose workers were not supervised fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from harness.cluster.operator import background_tasks
from harness.outcome import RunOptions, RunOutcome
from harness.verdict.report import report_lines

DEADLINE_S = 20.0


async def fails() -> None:
    raise ValueError("not a number: x")


async def runs_forever() -> None:
    await asyncio.Event().wait()


async def test_a_task_that_fails_is_logged_at_once_and_a_cancelled_one_is_not() -> None:
    """The block of `background_tasks` still runs when the failure is logged; its end cancels the second task."""
    messages: list[str] = []
    logged = asyncio.Event()

    def log(message: str) -> None:
        messages.append(message)
        logged.set()

    async with (
        asyncio.timeout(DEADLINE_S),
        background_tasks({"the supervision": fails(), "the operator": runs_forever()}, log) as errors,
    ):
        await logged.wait()
    assert messages == ["the supervision has failed: ValueError: not a number: x"]
    assert errors == {"the supervision": "ValueError: not a number: x"}


async def test_an_error_during_the_cancellation_of_a_task_is_reported() -> None:
    started = asyncio.Event()

    async def fails_when_cancelled() -> None:
        """Waits until it is cancelled, and then fails instead of ending."""
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            raise ValueError("cannot be closed")

    async with (
        asyncio.timeout(DEADLINE_S),
        background_tasks({"the operator": fails_when_cancelled()}, lambda _: None) as errors,
    ):
        await started.wait()
    assert errors == {"the operator": "ValueError: cannot be closed"}


async def test_tasks_are_cancelled_when_the_block_fails() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def task() -> None:
        """Runs until it is cancelled, and notes its start and its end."""
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def block() -> None:
        async with asyncio.timeout(DEADLINE_S), background_tasks({"the supervision": task()}, print):
            await started.wait()
            raise RuntimeError("the block")

    with pytest.raises(RuntimeError, match="the block"):
        await block()
    assert ended.is_set()


@pytest.mark.parametrize(
    ("outcome", "successful"),
    [
        (RunOutcome(drained=True), True),
        (RunOutcome(drained=False), False),
        (RunOutcome(drained=True, did_not_stop=1), False),
        (RunOutcome(drained=True, supervision_error="ValueError"), False),
    ],
    ids=["successful", "not drained", "a worker did not stop", "supervision failed"],
)
def test_a_run_succeeds_if_it_drained_all_workers_stopped_and_supervision_did_not_fail(
    outcome: RunOutcome, successful: bool
) -> None:
    assert outcome.successful is successful


def test_the_report_says_why_a_run_failed() -> None:
    options = RunOptions(seed=7, articles=1, faults=0, every_s=1.0, partitions=1, folder=Path("run"))
    report = "\n".join(
        report_lines(options, RunOutcome(drained=True, did_not_stop=2, supervision_error="ValueError: no"))
    )
    assert "\n     2  did not stop after SIGTERM and were killed\n" in report
    assert "tracebacks 0, did not stop 2\n" in report
    assert "\nWORKERS WERE NOT RESTARTED until the end: ValueError: no" in report
