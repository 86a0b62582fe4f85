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

LOOK_S = 0.2
AGAIN_AFTER_S = 0.5
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
    leaving: bool = False
    ended_at: float = 0.0

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
    exits: Counter[str] = field(default_factory=Counter)
    """How processes ended, by `role code`; those that the run itself killed apart."""
    unstoppable: int = 0
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process of `done_role` has ended with 0."""
    _asleep: Counter[int] = field(default_factory=Counter)

    def start(self, role: str) -> Worker:
        """Start a further worker of a role."""
        number = self.started[role] = self.started[role] + 1
        name = f"{role}-{number}"
        worker = Worker(role, name, self._process(role, name))
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
            worker.process.kill()
            worker.process.wait(timeout=20)
        self._note(worker)
        self.workers.remove(worker)

    async def keep(self) -> None:
        """Start again what has left, as an orchestrator does, until cancelled."""
        while True:
            for worker in self.workers:
                if worker.alive or worker.leaving:
                    continue
                if not worker.ended_at:
                    worker.ended_at = time.monotonic()
                    self._note(worker)
                    if worker.role == self.done_role and worker.process.returncode == 0:
                        self.finished.set()
                if self.finished.is_set() and worker.role == self.done_role:
                    continue
                if time.monotonic() - worker.ended_at >= AGAIN_AFTER_S:
                    worker.process, worker.ended_at = self._process(worker.role, worker.name), 0.0
            await asyncio.sleep(LOOK_S)

    def end(self) -> None:
        """Kill all."""
        for worker in self.workers:
            if worker.alive:
                self.kill(worker.pid)
        for worker in self.workers:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(timeout=20)

    def _process(self, role: str, name: str) -> subprocess.Popen[bytes]:
        with (self.logs / f"{name}.log").open("ab") as out:
            return subprocess.Popen(
                [*LEASH, *self.commands[role]],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=dict(self.environment),
                start_new_session=True,
            )

    def _note(self, worker: Worker) -> None:
        code = worker.process.returncode
        self.exits[f"{worker.role} {code}"] += 1
        if code not in (0, -signal.SIGKILL):
            self.say(f"{worker.name} left with {code}")


def _send(pid: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, what)
