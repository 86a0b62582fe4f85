"""A rolling restart: each worker of a service is replaced, and the number of serving workers never falls."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.faults import rolling as rolling_module
from harness.faults.plan import Fault
from harness.faults.rolling import NEXT_VERSION, UPGRADE_ORDER, RollingRestart, upgrade_steps
from harness.processes.fleet import Fleet, Worker

from riskwire.pipeline import HISTORY, stages_of

ROLES = ("infer", "alert")
_SERVES = "import time; print('riskwire infer is at http://127.0.0.1:1', flush=True); time.sleep(600)"
FAULT = Fault(1, "service restarted, worker by worker", 0.0, 7)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Two workers of each of two services, which serve as soon as they are started, and one that never does."""
    commands = {role: [sys.executable, "-c", _SERVES] for role in ROLES}
    commands["mute"] = [sys.executable, "-c", "import time; time.sleep(600)"]
    fleet = Fleet(commands, dict(os.environ), logs=tmp_path, log=print, finite_role="replay")
    for role in (*ROLES, *ROLES, "mute"):
        fleet.start(role)
    yield fleet
    fleet.kill_all()


async def test_each_worker_of_one_service_is_replaced_after_the_new_one_serves(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other service keeps its workers. Whenever one is stopped, a further one serves."""
    before = {role: fleet.workers_of(role) for role in ROLES}
    serving: list[int] = []
    remove = Fleet.remove

    async def counted(self: Fleet, worker: Worker, after_s: float = 0.0) -> None:
        serving.append(sum(worker.alive for worker in self.workers_of("infer")))
        await remove(self, worker, after_s)

    monkeypatch.setattr(Fleet, "remove", counted)
    await RollingRestart(fleet, ROLES, print).restart_next(FAULT)
    after = {role: fleet.workers_of(role) for role in ROLES}
    assert len(after["infer"]) == 2
    assert not set(map(id, after["infer"])) & set(map(id, before["infer"]))
    assert after["alert"] == before["alert"]
    assert serving == [3, 3]
    assert [worker_exit.explained for worker_exit in fleet.exits] == [True, True]


async def test_services_are_restarted_in_turn(fleet: Fleet) -> None:
    restart = RollingRestart(fleet, ROLES, print)
    first = fleet.workers_of("alert")
    await restart.restart_next(FAULT)
    await restart.restart_next(FAULT)
    assert not set(map(id, first)) & set(map(id, fleet.workers_of("alert")))


async def test_a_worker_stays_if_the_new_one_does_not_serve(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling_module, "_SERVING_S", 0.5)
    (old,) = fleet.workers_of("mute")
    await RollingRestart(fleet, ("mute",), print).restart_next(FAULT)
    assert old in fleet.workers_of("mute")
    assert old.alive


def test_an_upgrade_takes_readers_before_writers_and_a_rollback_writers_before_readers() -> None:
    """Only the history of a new target goes the other way: sink sends it to alert."""
    steps = upgrade_steps(UPGRADE_ORDER)
    assert steps[: len(UPGRADE_ORDER)] == [(role, NEXT_VERSION) for role in UPGRADE_ORDER]
    assert steps[len(UPGRADE_ORDER) :] == [(role, "") for role in reversed(UPGRADE_ORDER)]
    backwards = {
        stage.name
        for index, early in enumerate(UPGRADE_ORDER)
        for late in UPGRADE_ORDER[index + 1 :]
        for stage in stages_of(early)
        for reader in stages_of(late)
        if reader.reads in stage.writes
    }
    assert backwards == {HISTORY.name}


async def test_services_are_upgraded_in_order_and_then_rolled_back_in_reverse_order(fleet: Fleet) -> None:
    restart = RollingRestart(fleet, ROLES, print, upgrade_order=("alert", "infer"))
    versions = []
    for _ in range(4):
        await restart.upgrade_next(FAULT)
        versions.append({role: {worker.version for worker in fleet.workers_of(role)} for role in ROLES})
    assert versions == [
        {"infer": {""}, "alert": {NEXT_VERSION}},
        {"infer": {NEXT_VERSION}, "alert": {NEXT_VERSION}},
        {"infer": {""}, "alert": {NEXT_VERSION}},
        {"infer": {""}, "alert": {""}},
    ]


def environment_of(worker: Worker) -> bytes:
    """Returns the environment of the process of a worker, as the kernel has it."""
    return Path(f"/proc/{worker.pid}/environ").read_bytes()


async def test_a_restarted_worker_keeps_its_version(fleet: Fleet) -> None:
    fleet.versions = {NEXT_VERSION: {"VERSION_OF_TEST": "next"}}
    fleet.start("infer", NEXT_VERSION)
    await RollingRestart(fleet, ROLES, print).restart_next(FAULT)
    assert [worker.version for worker in fleet.workers_of("infer")] == ["", "", NEXT_VERSION]
    assert b"VERSION_OF_TEST=next" in environment_of(fleet.workers_of("infer")[-1])
