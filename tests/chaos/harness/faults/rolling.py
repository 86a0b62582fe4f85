"""`RollingRestart` replaces the workers of a service one after the other, as an upgrade does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.faults.plan import Fault
from harness.processes.fleet import Fleet, Worker

_SERVING = b" is at http"
"""What a service prints once it answers requests."""
_SERVING_S = 120.0
_POLL_S = 0.2


@dataclass(slots=True)
class RollingRestart:
    """Restarts services in turn, never two at once.

    Attributes:
        roles: the services.
    """

    fleet: Fleet
    roles: Sequence[str]
    log: Callable[[str], None]
    _turn: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def restart_next(self, fault: Fault) -> None:
        """Replaces each worker of the next service: starts a new one, waits until it serves, then stops the old one.

        So the old and the new one work side by side, and the partitions move twice. If a new worker does not serve in
        time, the old one stays, as in an upgrade that an orchestrator holds.
        """
        async with self._lock:
            role = self.roles[self._turn % len(self.roles)]
            self._turn += 1
            old_workers = self.fleet.workers_of(role)
            self.log(f"#{fault.number} {fault.kind}: {role}, {len(old_workers)} workers")
            for old in old_workers:
                new = self.fleet.start(role)
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
