"""Workers are restarted when they exit, can be suspended and resumed, and are killed with the run."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.processes import fleet as fleet_module
from harness.processes.fleet import DIE_WITH_PARENT, Fleet

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
DEADLINE_S = 20.0


def has_exited(pid: int) -> bool:
    """Returns whether a process has exited; it may still be a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  (the kernel has no notification)
            await asyncio.sleep(0.02)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """A fleet of processes that sleep, fail, finish, print or ignore SIGTERM; all have exited after the test."""
    monkeypatch.setattr(fleet_module, "RESTART_DELAY_S", 0.1)
    monkeypatch.setattr(fleet_module, "CHECK_EVERY_S", 0.05)
    commands = {
        "sleep": SLEEPER,
        "fail": [sys.executable, "-c", "raise SystemExit(2)"],
        "done": [sys.executable, "-c", ""],
        "prints": [
            sys.executable,
            "-c",
            "import sys; print('started\\nriskwire: Kafka cannot be reached'); sys.exit(2)",
        ],
        "ignores SIGTERM": [
            sys.executable,
            "-c",
            "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)",
        ],
    }
    workers = Fleet(commands, dict(os.environ), logs=tmp_path, log=print, finite_role="done")
    yield workers
    workers.kill_all()
    assert all(has_exited(worker.pid) for worker in workers.workers)


async def test_a_worker_that_exits_is_restarted_and_its_exit_is_counted(fleet: Fleet) -> None:
    """`exit_counts` counts by role and exit code; -9 is SIGKILL. A restart gives the worker a new process."""
    supervision = asyncio.create_task(fleet.supervise())
    failing, sleeping = fleet.start("fail"), fleet.start("sleep")
    first = sleeping.pid
    await wait_until(lambda: fleet.exit_counts["fail 2"] >= 2)
    fleet.kill(first)
    await wait_until(lambda: sleeping.pid != first and sleeping.alive)
    supervision.cancel()
    assert fleet.exit_counts["sleep -9"] == 1
    assert failing.name == "fail-1"


async def test_an_exit_is_recorded_with_the_last_lines_of_its_process(fleet: Fleet) -> None:
    """Each process of the worker prints two lines and fails, for a reason that faults of a run cause."""
    supervision = asyncio.create_task(fleet.supervise())
    fleet.start("prints")
    await wait_until(lambda: len(fleet.exits) >= 2)
    supervision.cancel()
    for process_exit in fleet.exits:
        assert (process_exit.worker, process_exit.code, process_exit.requested) == ("prints-1", 2, False)
        assert process_exit.last_lines == ("started", "riskwire: Kafka cannot be reached"), "not the process before it"
        assert process_exit.explained


async def test_only_a_kill_by_the_run_explains_an_exit_by_sigkill(fleet: Fleet) -> None:
    supervision = asyncio.create_task(fleet.supervise())
    killed_by_run, killed_otherwise = fleet.start("sleep"), fleet.start("sleep")
    fleet.kill(killed_by_run.pid)
    os.kill(killed_otherwise.pid, signal.SIGKILL)
    await wait_until(lambda: len(fleet.exits) == 2)
    supervision.cancel()
    assert {process_exit.worker: process_exit.explained for process_exit in fleet.exits} == {
        killed_by_run.name: True,
        killed_otherwise.name: False,
    }


async def test_the_restart_delay_grows_with_each_early_exit_but_not_after_a_kill(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delay is 0 at first, 0.1 s after an early exit, then four times as long, up to the maximum."""
    monkeypatch.setattr(fleet_module, "MAX_RESTART_DELAY_S", 0.35)
    supervision = asyncio.create_task(fleet.supervise())
    failing, killed = fleet.start("fail"), fleet.start("sleep")
    delays: set[float] = set()

    def delay_is_at_maximum() -> bool:
        delays.add(failing.restart_delay_s)
        return failing.restart_delay_s == 0.35

    await wait_until(delay_is_at_maximum)
    assert delays <= {0.0, 0.1, 0.35}
    for kills in (1, 2):
        fleet.kill(killed.pid)
        await wait_until(lambda kills=kills: fleet.exit_counts["sleep -9"] == kills and killed.alive)
    supervision.cancel()
    assert killed.restart_delay_s == 0.1


async def test_a_worker_whose_work_is_finished_is_not_restarted(fleet: Fleet) -> None:
    """`done` is the finite role of the fleet: its process exits with 0 when its work is finished."""
    supervision = asyncio.create_task(fleet.supervise())
    fleet.start("done")
    async with asyncio.timeout(DEADLINE_S):
        await fleet.finished.wait()
    supervision.cancel()
    assert fleet.exit_counts["done 0"] == 1


async def test_the_exit_of_a_worker_before_its_removal_is_recorded_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervision has recorded the exit, and the restart is not due, when the worker is removed."""
    monkeypatch.setattr(fleet_module, "RESTART_DELAY_S", DEADLINE_S)
    supervision = asyncio.create_task(fleet.supervise())
    failing = fleet.start("fail")
    await wait_until(lambda: fleet.exit_counts["fail 2"] == 1)
    await fleet.remove(failing)
    supervision.cancel()
    assert fleet.exit_counts == {"fail 2": 1}


async def test_an_exit_after_the_end_of_supervision_is_recorded_at_the_end(fleet: Fleet) -> None:
    """No worker is restarted during the comparison, but a worker that fails then is still reported."""
    failing, sleeping = fleet.start("fail"), fleet.start("sleep")
    await wait_until(lambda: not failing.alive)
    fleet.kill_all()
    fleet.kill_all()
    assert fleet.exit_counts == {"fail 2": 1}, "without the workers that the run killed"
    assert not sleeping.alive
    assert not fleet.exits[0].explained


async def test_a_worker_is_suspended_until_each_suspension_has_been_resumed(fleet: Fleet) -> None:
    """Two faults may suspend one worker at a time. The kernel reports a suspended process as T."""
    pid = fleet.start("sleep").pid
    assert fleet.running_pids("sleep") == {pid}
    fleet.suspend(pid)
    fleet.suspend(pid)
    await wait_until(lambda: process_state(pid) == "T")
    assert fleet.running_pids("sleep") == set()
    fleet.resume(pid)
    assert process_state(pid) == "T"
    fleet.resume(pid)
    await wait_until(lambda: process_state(pid) != "T")
    assert fleet.running_pids("sleep") == {pid}


async def test_a_removed_worker_is_not_restarted_and_is_killed_if_it_ignores_sigterm(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removed worker exits by SIGTERM. One that ignores it is killed after `STOP_TIMEOUT_S`, and counted."""
    supervision = asyncio.create_task(fleet.supervise())
    await fleet.remove(fleet.start("sleep"))
    assert fleet.workers_of("sleep") == []
    assert fleet.exit_counts[f"sleep -{signal.SIGTERM}"] == 1
    monkeypatch.setattr(fleet_module, "STOP_TIMEOUT_S", 0.5)
    ignoring = fleet.start("ignores SIGTERM")
    await wait_until(lambda: _ignores_sigterm(ignoring.pid))
    await fleet.remove(ignoring)
    assert fleet.did_not_stop == 1
    supervision.cancel()


def _ignores_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn")), 16)
    return bool(ignored & 1 << (signal.SIGTERM - 1))


@pytest.mark.skipif(not DIE_WITH_PARENT, reason="setpriv is not installed")
async def test_workers_are_killed_with_the_run() -> None:
    """A process plays the run, and starts a worker with the prefix `DIE_WITH_PARENT` (setpriv).

    When it is killed, the kernel kills the worker.
    """
    program = "import subprocess, time; p = subprocess.Popen({}); print(p.pid, flush=True); time.sleep(600)"
    run = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", program.format([*DIE_WITH_PARENT, *SLEEPER])], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    await wait_until(lambda: "sleep(600)" in Path(f"/proc/{pid}/cmdline").read_text() and not _runs_setpriv(pid))
    run.kill()
    run.wait(timeout=DEADLINE_S)
    await wait_until(lambda: has_exited(pid))
    run.stdout.close()


def _runs_setpriv(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_text().startswith(DIE_WITH_PARENT[0])
