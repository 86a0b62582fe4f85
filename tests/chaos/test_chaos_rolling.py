"""A rolling restart: each worker of a service is replaced, and never fewer of them serve than before."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.faults import rolling as rolling_module
from harness.faults.plan import Fault
from harness.faults.rolling import RollingRestart
from harness.processes.fleet import Fleet, Worker

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
    assert [item.explained for item in fleet.exits] == [True, True]


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
