"""Those who work beside a run are not silent when they fail, and one without whom it proves nothing fails it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from harness.chaos import Options, Outcome
from harness.oversight import beside
from harness.report import told, verdict

WITHIN_S = 20.0


async def fails() -> None:
    raise ValueError("not a number: x")


async def goes_on() -> None:
    await asyncio.Event().wait()


async def test_a_work_that_fails_is_told_as_it_happens_and_those_that_end_with_the_block_are_not() -> None:
    said: list[str] = []
    heard = asyncio.Event()

    def say(what: str) -> None:
        said.append(what)
        heard.set()

    async with asyncio.timeout(WITHIN_S), beside({"the keeper": fails(), "the operator": goes_on()}, say) as failed:
        await heard.wait()
    assert said == ["the keeper has failed: ValueError: not a number: x"]
    assert failed == {"the keeper": "ValueError: not a number: x"}


async def test_an_error_that_comes_as_a_work_is_told_to_end_is_told_too() -> None:
    started = asyncio.Event()

    async def ends_badly() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            raise ValueError("cannot be put away")

    async with asyncio.timeout(WITHIN_S), beside({"the operator": ends_badly()}, lambda _: None) as failed:
        await started.wait()
    assert failed == {"the operator": "ValueError: cannot be put away"}


async def test_works_end_with_a_block_that_fails() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def block() -> None:
        async with asyncio.timeout(WITHIN_S), beside({"the keeper": work()}, print):
            await started.wait()
            raise RuntimeError("the block")

    with pytest.raises(RuntimeError, match="the block"):
        await block()
    assert ended.is_set()


@pytest.mark.parametrize(
    ("outcome", "good"),
    [
        (Outcome(drained=True), True),
        (Outcome(drained=False), False),
        (Outcome(drained=True, unstoppable=1), False),
        (Outcome(drained=True, unkept="ValueError"), False),
    ],
    ids=["all is well", "not all is read", "one did not stop when told", "nobody kept the workers"],
)
def test_a_run_is_good_when_all_is_read_all_stopped_who_were_told_to_and_workers_were_kept(
    outcome: Outcome, good: bool
) -> None:
    assert verdict(outcome) is good


def test_what_fails_a_run_is_told() -> None:
    options = Options(seed=7, articles=1, faults=0, every_s=1.0, partitions=1, folder=Path("run"))
    report = "\n".join(told(options, Outcome(drained=True, unstoppable=2, unkept="ValueError: no")))
    assert "\n     2  did not stop when told and were killed\n" in report
    assert "tracebacks 0, did not stop 2\n" in report
    assert "\nNOBODY STARTED WORKERS AGAIN to the end: ValueError: no" in report
