"""Workers are started again when they leave, sleep and wake, and die with the run."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import fleet as fleet_module
from harness.fleet import LEASH, Fleet

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
WITHIN_S = 20.0


def gone(pid: int) -> bool:
    """Whether a process runs no more (it may still wait to be collected)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not true():  # noqa: ASYNC110  (the kernel tells of it in no other way)
            await asyncio.sleep(0.02)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setattr(fleet_module, "AGAIN_AFTER_S", 0.1)
    monkeypatch.setattr(fleet_module, "LOOK_S", 0.05)
    commands = {
        "sleep": SLEEPER,
        "fail": [sys.executable, "-c", "raise SystemExit(2)"],
        "done": [sys.executable, "-c", ""],
        "words": [sys.executable, "-c", "import sys; print('begun\\nriskwire: Kafka cannot be reached'); sys.exit(2)"],
        "deaf": [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"],
    }
    fleet = Fleet(commands, dict(os.environ), tmp_path, print, "done")
    yield fleet
    fleet.end()
    assert all(gone(worker.pid) for worker in fleet.workers)


async def test_a_worker_that_leaves_is_started_again_and_how_it_left_is_counted(made: Fleet) -> None:
    keeping = asyncio.create_task(made.keep())
    failing, sleeping = made.start("fail"), made.start("sleep")
    first = sleeping.pid
    await until(lambda: made.exits["fail 2"] >= 2)
    made.kill(first)
    await until(lambda: sleeping.pid != first and sleeping.alive)
    keeping.cancel()
    assert made.exits["sleep -9"] == 1
    assert failing.name == "fail-1"


async def test_how_a_worker_left_is_noted_with_the_end_of_what_its_last_process_said(made: Fleet) -> None:
    keeping = asyncio.create_task(made.keep())
    made.start("words")
    await until(lambda: len(made.departures) >= 2)
    keeping.cancel()
    for departure in made.departures:
        assert (departure.worker, departure.code, departure.told) == ("words-1", 2, False)
        assert departure.said == ("begun", "riskwire: Kafka cannot be reached"), "and nothing of the process before"
        assert departure.explained


async def test_one_that_the_run_has_killed_was_told_and_one_that_somebody_else_kills_was_not(made: Fleet) -> None:
    keeping = asyncio.create_task(made.keep())
    ours, others = made.start("sleep"), made.start("sleep")
    made.kill(ours.pid)
    os.kill(others.pid, signal.SIGKILL)
    await until(lambda: len(made.departures) == 2)
    keeping.cancel()
    assert {one.worker: one.explained for one in made.departures} == {ours.name: True, others.name: False}


async def test_one_that_leaves_again_at_once_is_started_later_each_time_but_not_one_that_was_killed(
    made: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "MOST_AFTER_S", 0.35)
    keeping = asyncio.create_task(made.keep())
    failing, killed = made.start("fail"), made.start("sleep")
    waits: set[float] = set()

    def longest() -> bool:
        waits.add(failing.again_after_s)
        return failing.again_after_s == 0.35

    await until(longest)
    assert waits <= {0.0, 0.1, 0.35}
    for times in (1, 2):
        made.kill(killed.pid)
        await until(lambda times=times: made.exits["sleep -9"] == times and killed.alive)
    keeping.cancel()
    assert killed.again_after_s == 0.1


async def test_one_whose_work_is_done_is_not_started_again(made: Fleet) -> None:
    keeping = asyncio.create_task(made.keep())
    made.start("done")
    async with asyncio.timeout(WITHIN_S):
        await made.finished.wait()
    keeping.cancel()
    assert made.exits["done 0"] == 1


async def test_one_that_has_left_before_it_is_removed_is_noted_once(
    made: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "AGAIN_AFTER_S", WITHIN_S)
    keeping = asyncio.create_task(made.keep())
    failing = made.start("fail")
    await until(lambda: made.exits["fail 2"] == 1)
    await made.remove(failing)
    keeping.cancel()
    assert made.exits == {"fail 2": 1}


async def test_who_leaves_when_nobody_keeps_them_any_more_is_noted_at_the_end(made: Fleet) -> None:
    """While all is judged nobody is started again; who falls over then has not gone unseen."""
    failing, sleeping = made.start("fail"), made.start("sleep")
    await until(lambda: not failing.alive)
    made.end()
    made.end()
    assert made.exits == {"fail 2": 1}, "and none of those that were ended by the run"
    assert not sleeping.alive
    assert not made.departures[0].explained


async def test_a_worker_sleeps_until_all_who_put_it_to_sleep_have_woken_it(made: Fleet) -> None:
    pid = made.start("sleep").pid
    assert made.awake("sleep") == {pid}
    made.put_to_sleep(pid)
    made.put_to_sleep(pid)
    await until(lambda: state(pid) == "T")
    assert made.awake("sleep") == set()
    made.wake(pid)
    assert state(pid) == "T"
    made.wake(pid)
    await until(lambda: state(pid) != "T")
    assert made.awake("sleep") == {pid}


async def test_a_worker_that_is_removed_goes_for_good_and_one_that_does_not_listen_is_killed(
    made: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping = asyncio.create_task(made.keep())
    await made.remove(made.start("sleep"))
    assert made.of("sleep") == []
    assert made.exits[f"sleep -{signal.SIGTERM}"] == 1
    monkeypatch.setattr(fleet_module, "STOP_WITHIN_S", 0.5)
    deaf = made.start("deaf")
    await until(lambda: _ignores(deaf.pid))
    await made.remove(deaf)
    assert made.unstoppable == 1
    keeping.cancel()


def _ignores(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn")), 16)
    return bool(ignored & 1 << (signal.SIGTERM - 1))


@pytest.mark.skipif(not LEASH, reason="no setpriv here")
async def test_workers_die_with_a_run_that_is_killed() -> None:
    starts = "import subprocess, time; p = subprocess.Popen({}); print(p.pid, flush=True); time.sleep(600)"
    run = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", starts.format([*LEASH, *SLEEPER])], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    await until(lambda: "sleep(600)" in Path(f"/proc/{pid}/cmdline").read_text() and not _leashing(pid))
    run.kill()
    run.wait(timeout=WITHIN_S)
    await until(lambda: gone(pid))
    run.stdout.close()


def _leashing(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_text().startswith(LEASH[0])
