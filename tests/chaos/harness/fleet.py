"""The services of a run as processes: started, hurt, started again when they leave, never left behind."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.testimony import Departure, last_lines

LOOK_S = 0.2
AGAIN_AFTER_S = 0.5
MOST_AFTER_S = 8.0
LIVED_S = 15.0
"""Who leaves is started again half a second later; who leaves again before it has lived so long, after four times as
long: workers that start over and over would take all processor time from the broker that they wait for."""
_BEHIND = 10
"""Niceness of workers above that of the run and its broker, which all of them wait for."""
STOP_WITHIN_S = 60.0
"""A worker that was told to stop and has not after this long is killed, and counted."""

LEASH: tuple[str, ...] = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
"""Put before a command: the kernel kills it when the run itself is killed."""

Command = Sequence[str]


@dataclass(eq=False, slots=True)
class Worker:
    """One place of a role; the process in it changes."""

    role: str
    name: str
    process: subprocess.Popen[bytes]
    said_from: int
    """Where in its log begins what this process says."""
    leaving: bool = False
    started_at: float = field(default_factory=time.monotonic)
    ended_at: float = 0.0
    again_after_s: float = 0.0

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs (or sleeps)."""
        return self.process.poll() is None


@dataclass(slots=True)
class Fleet:
    """The workers of every role.

    Attributes:
        commands: by role, what is started.
        environment: of every worker.
        logs: folder of their output, one file a worker.
        done_role: the role whose process ends by itself with 0 when its work is done.
    """

    commands: Mapping[str, Command]
    environment: Mapping[str, str]
    logs: Path
    say: Callable[[str], None]
    done_role: str
    workers: list[Worker] = field(default_factory=list)
    started: Counter[str] = field(default_factory=Counter)
    departures: list[Departure] = field(default_factory=list)
    """How processes ended; those that `end` itself has killed are not among them."""
    unstoppable: int = 0
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process of `done_role` has ended with 0."""
    _asleep: Counter[int] = field(default_factory=Counter)
    _killed: set[int] = field(default_factory=set)

    @property
    def exits(self) -> Counter[str]:
        """How processes ended, by `role code`."""
        return Counter(f"{one.worker.rpartition('-')[0]} {one.code}" for one in self.departures)

    def start(self, role: str) -> Worker:
        """Start a further worker of a role."""
        number = self.started[role] = self.started[role] + 1
        name = f"{role}-{number}"
        worker = Worker(role, name, *self._process(role, name))
        self.workers.append(worker)
        return worker

    def of(self, role: str) -> list[Worker]:
        """The workers of a role that are to stay."""
        return [worker for worker in self.workers if worker.role == role and not worker.leaving]

    def awake(self, role: str) -> set[int]:
        """The processes of a role that run and do not sleep."""
        return {
            worker.pid
            for worker in self.workers
            if worker.role == role and worker.alive and not self._asleep[worker.pid]
        }

    def one_of(self, roles: Collection[str], chance: random.Random) -> Worker | None:
        """Any worker of some roles that is alive."""
        alive = [worker for worker in self.workers if worker.role in roles and worker.alive and not worker.leaving]
        return chance.choice(alive) if alive else None

    def by_pid(self, pid: int) -> str:
        """What a process is called."""
        return next((worker.name for worker in self.workers if worker.pid == pid), str(pid))

    def kill(self, pid: int) -> None:
        """kill -9."""
        self._killed.add(pid)
        _send(pid, signal.SIGKILL)

    def put_to_sleep(self, pid: int) -> None:
        """SIGSTOP."""
        self._asleep[pid] += 1
        _send(pid, signal.SIGSTOP)

    def wake(self, pid: int) -> None:
        """SIGCONT, once nobody else wants it asleep."""
        self._asleep[pid] = max(0, self._asleep[pid] - 1)
        if not self._asleep[pid]:
            _send(pid, signal.SIGCONT)

    async def remove(self, worker: Worker, after_s: float = 0.0) -> None:
        """SIGTERM, unless it leaves by itself within `after_s`; wait until it has gone."""
        worker.leaving = True
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(worker.process.wait, after_s)
        with suppress(ProcessLookupError):
            worker.process.terminate()
        try:
            await asyncio.to_thread(worker.process.wait, STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.unstoppable += 1
            self.say(f"{worker.name} did not stop when told: killed")
            self.kill(worker.pid)
            worker.process.wait(timeout=20)
        if not worker.ended_at:  # else `keep` has seen it leave before it was told
            self._note(worker)
        self.workers.remove(worker)

    async def keep(self) -> None:
        """Start again what has left, as an orchestrator does, until cancelled."""
        while True:
            for worker in self.workers:
                if worker.alive or worker.leaving:
                    continue
                if not worker.ended_at:
                    self._ended(worker)
                    if worker.role == self.done_role and worker.process.returncode == 0:
                        self.finished.set()
                if self.finished.is_set() and worker.role == self.done_role:
                    continue
                if time.monotonic() - worker.ended_at >= worker.again_after_s:
                    worker.process, worker.said_from = self._process(worker.role, worker.name)
                    worker.started_at, worker.ended_at = time.monotonic(), 0.0
            await asyncio.sleep(LOOK_S)

    def end(self) -> None:
        """Kill all; how those left that had left before is noted."""
        alive = [worker for worker in self.workers if worker.alive]
        for worker in self.workers:
            if worker not in alive and not worker.ended_at and not worker.leaving:
                self._ended(worker)
        for worker in alive:
            self.kill(worker.pid)
        for worker in alive:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(timeout=20)
            worker.ended_at = time.monotonic()

    def _process(self, role: str, name: str) -> tuple[subprocess.Popen[bytes], int]:
        with self._log(name).open("ab") as out:
            said_from = out.tell()
            process = subprocess.Popen(
                [*LEASH, *self.commands[role]],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=dict(self.environment),
                start_new_session=True,
            )
        os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + _BEHIND)
        return process, said_from

    def _ended(self, worker: Worker) -> None:
        worker.ended_at = time.monotonic()
        self._note(worker)
        killed, lived = worker.pid in self._killed, worker.ended_at - worker.started_at > LIVED_S
        longer_s = min(worker.again_after_s * 4, MOST_AFTER_S)
        worker.again_after_s = AGAIN_AFTER_S if killed or lived else max(AGAIN_AFTER_S, longer_s)

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _note(self, worker: Worker) -> None:
        with self._log(worker.name).open("rb") as log:
            log.seek(worker.said_from)
            said = last_lines(log.read().decode("utf-8", "replace"))
        code, told = worker.process.returncode, worker.leaving or worker.pid in self._killed
        departure = Departure(worker.name, code, told, worker.role == self.done_role, said)
        self.departures.append(departure)
        if not departure.explained:
            self.say(f"{worker.name} left with {code}, which nothing explains")
        elif not told and code:
            self.say(f"{worker.name} left with {code}")


def _send(pid: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, what)
