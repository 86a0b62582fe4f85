"""`RollingRestart` replaces the workers of a service one after the other, as an upgrade does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.faults.plan import Fault
from harness.processes.fleet import Fleet, Worker

UPGRADE_ORDER = ("sink", "notify", "alert", "infer")
"""The services in the order of an upgrade: readers before writers, as deploy/README.md says."""
NEXT_VERSION = "next"
"""The name of the version to which services are upgraded, in `Fleet.versions`."""
_SERVING = b" is at http"
"""What a service prints once it answers requests."""
_SERVING_S = 300.0
_POLL_S = 0.2


def upgrade_steps(order: Sequence[str]) -> list[tuple[str, str]]:
    """Returns role and version of each step of an upgrade, and then of its rollback.

    A service that reads records is upgraded before the service that writes them, and rolled back after it. So a reader
    is always at least as new as the writer of its records. deploy/README.md states this order.

    Args:
        order: the services, the last readers first.
    """
    return [(role, NEXT_VERSION) for role in order] + [(role, "") for role in reversed(order)]


@dataclass(slots=True)
class RollingRestart:
    """Restarts, upgrades or rolls back services in turn, never two at once.

    Attributes:
        roles: the services, in the order in which they are restarted.
        upgrade_order: the services, in the order in which they are upgraded.
    """

    fleet: Fleet
    roles: Sequence[str]
    log: Callable[[str], None]
    upgrade_order: Sequence[str] = UPGRADE_ORDER
    _turn: int = 0
    _upgrade_turn: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def restart_next(self, fault: Fault) -> None:
        """Replaces each worker of the next service by one of the same version."""
        async with self._lock:
            role = self.roles[self._turn % len(self.roles)]
            self._turn += 1
            await self._replace_workers(fault, role)

    async def upgrade_next(self, fault: Fault) -> None:
        """Replaces each worker of the next service by one of the next version; once all are upgraded, rolls back."""
        async with self._lock:
            steps = upgrade_steps(self.upgrade_order)
            role, version = steps[self._upgrade_turn % len(steps)]
            self._upgrade_turn += 1
            await self._replace_workers(fault, role, version)

    async def _replace_workers(self, fault: Fault, role: str, version: str | None = None) -> None:
        """Replaces each worker: starts a new one, waits until it serves, then stops the old one.

        So the old and the new one work side by side, and the partitions move twice. If a new worker does not serve in
        time, the old one stays, as in an upgrade that an orchestrator holds.

        Args:
            version: the version of the new workers; by default that of the worker that each replaces.
        """
        old_workers = self.fleet.workers_of(role)
        target = "" if version is None else f", to version {version or 'before'}"
        self.log(f"#{fault.number} {fault.kind}: {role}, {len(old_workers)} workers{target}")
        for old in old_workers:
            new = self.fleet.start(role, old.version if version is None else version)
            if not await self._serves(new):
                self.log(f"{new.name} did not serve within {_SERVING_S:.0f} s: {old.name} stays")
            elif old in self.fleet.workers:
                await self.fleet.remove(old)

    async def _serves(self, worker: Worker) -> bool:
        """Waits until the present process of a worker serves; returns False if it does not in time."""
        deadline = time.monotonic() + _SERVING_S
        while time.monotonic() < deadline:
            output = (self.fleet.logs / f"{worker.name}.log").read_bytes()[worker.log_offset :]
            if worker.alive and _SERVING in output:
                return True
            await asyncio.sleep(_POLL_S)
        return False
