"""`Fleet` starts the processes of a run, restarts them when they exit, and kills them all at the end."""

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

from harness.processes.process_logs import ProcessExit, tail_lines

CHECK_EVERY_S = 0.2
RESTART_DELAY_S = 0.5
MAX_RESTART_DELAY_S = 8.0
STABLE_AFTER_S = 15.0
"""A process that exits is restarted after `RESTART_DELAY_S`. The delay grows fourfold each time it exits within
`STABLE_AFTER_S`: workers that restart all the time would take the processor time of the broker that they wait for."""
_NICENESS = 10
"""Niceness of workers above that of the run and its broker, since all workers wait for the broker."""
STOP_TIMEOUT_S = 60.0
"""A worker that has not exited this long after SIGTERM is killed, and counted."""

DIE_WITH_PARENT: tuple[str, ...] = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
"""Command prefix with which the kernel kills a process when the run itself is killed."""

Command = Sequence[str]


@dataclass(eq=False, slots=True)
class Worker:
    """A worker of a role. A restart replaces its process.

    Attributes:
        log_offset: where the output of the current process begins in the log.
        leaving: whether the run stops the worker, so that it is not restarted.
        version: the version of riskwire that it runs, one of `Fleet.versions`.
    """

    role: str
    name: str
    process: subprocess.Popen[bytes]
    log_offset: int
    leaving: bool = False
    started_at: float = field(default_factory=time.monotonic)
    exited_at: float = 0.0
    restart_delay_s: float = 0.0
    version: str = ""

    @property
    def pid(self) -> int:
        """The id of its current process."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs or is suspended."""
        return self.process.poll() is None


@dataclass(slots=True)
class Fleet:
    """The workers of all roles.

    Attributes:
        commands: command of each role.
        environment: environment of all workers.
        versions: what a further version of riskwire has in its environment, by its name.
        logs: folder of their output, with one file a worker.
        log: receives messages about workers.
        finite_role: the role whose process exits with 0 when its work is done.
        exits: how processes exited, without those that `kill_all` has killed.
        did_not_stop: number of workers that were killed because they did not stop in time.
        finished: set when the process of ``finite_role`` has exited with 0.
    """

    commands: Mapping[str, Command]
    environment: Mapping[str, str]
    logs: Path
    log: Callable[[str], None]
    finite_role: str
    versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    started: Counter[str] = field(default_factory=Counter)
    exits: list[ProcessExit] = field(default_factory=list)
    did_not_stop: int = 0
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    _suspensions: Counter[int] = field(default_factory=Counter)
    _killed: set[int] = field(default_factory=set)

    @property
    def exit_counts(self) -> Counter[str]:
        """The number of exits by role and code, such as `infer -9`."""
        return Counter(f"{process_exit.worker.rpartition('-')[0]} {process_exit.code}" for process_exit in self.exits)

    def start(self, role: str, version: str = "") -> Worker:
        """Starts another worker of a role, by default of the version that all have at first."""
        number = self.started[role] = self.started[role] + 1
        name = f"{role}-{number}"
        worker = Worker(role, name, *self._start_process(role, name, version), version=version)
        self.workers.append(worker)
        return worker

    def workers_of(self, role: str) -> list[Worker]:
        """Returns the workers of a role that are not being removed."""
        return [worker for worker in self.workers if worker.role == role and not worker.leaving]

    def running_pids(self, role: str) -> set[int]:
        """Returns the processes of a role that run and are not suspended."""
        return {
            worker.pid
            for worker in self.workers
            if worker.role == role and worker.alive and not self._suspensions[worker.pid]
        }

    def choose(self, roles: Collection[str], rng: random.Random) -> Worker | None:
        """Returns a random live worker of these roles, or None if there is none."""
        alive = [worker for worker in self.workers if worker.role in roles and worker.alive and not worker.leaving]
        return rng.choice(alive) if alive else None

    def name_of(self, pid: int) -> str:
        """Returns the name of the worker of a process."""
        return next((worker.name for worker in self.workers if worker.pid == pid), str(pid))

    def kill(self, pid: int) -> None:
        """Sends SIGKILL."""
        self._killed.add(pid)
        _send(pid, signal.SIGKILL)

    def suspend(self, pid: int) -> None:
        """Sends SIGSTOP."""
        self._suspensions[pid] += 1
        _send(pid, signal.SIGSTOP)

    def resume(self, pid: int) -> None:
        """Sends SIGCONT once each `suspend` of the process has been resumed."""
        self._suspensions[pid] = max(0, self._suspensions[pid] - 1)
        if not self._suspensions[pid]:
            _send(pid, signal.SIGCONT)

    async def remove(self, worker: Worker, after_s: float = 0.0) -> None:
        """Sends SIGTERM, unless the process exits within ``after_s``; waits for its exit, and drops the worker.

        A worker that has not exited `STOP_TIMEOUT_S` later is killed, and counted in `did_not_stop`. The exit is
        recorded.
        """
        worker.leaving = True
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(worker.process.wait, after_s)
        with suppress(ProcessLookupError):
            worker.process.terminate()
        try:
            await asyncio.to_thread(worker.process.wait, STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.did_not_stop += 1
            self.log(f"{worker.name} did not stop after SIGTERM: killed")
            self.kill(worker.pid)
            worker.process.wait(timeout=20)
        if not worker.exited_at:  # otherwise `supervise` has recorded its exit before SIGTERM
            self._record_exit(worker)
        self.workers.remove(worker)

    async def supervise(self) -> None:
        """Restarts processes that have exited, as an orchestrator does, until cancelled.

        A process is restarted after its delay, and not if it is leaving, or of ``finite_role`` once its work is
        finished.
        """
        while True:
            for worker in self.workers:
                if worker.alive or worker.leaving:
                    continue
                if not worker.exited_at:
                    self._handle_exit(worker)
                    if worker.role == self.finite_role and worker.process.returncode == 0:
                        self.finished.set()
                if self.finished.is_set() and worker.role == self.finite_role:
                    continue
                if time.monotonic() - worker.exited_at >= worker.restart_delay_s:
                    worker.process, worker.log_offset = self._start_process(worker.role, worker.name, worker.version)
                    worker.started_at, worker.exited_at = time.monotonic(), 0.0
            await asyncio.sleep(CHECK_EVERY_S)

    def kill_all(self) -> None:
        """Kills all processes. Records the exits of those that had exited before, and not of those that it kills."""
        alive = [worker for worker in self.workers if worker.alive]
        for worker in self.workers:
            if worker not in alive and not worker.exited_at and not worker.leaving:
                self._handle_exit(worker)
        for worker in alive:
            self.kill(worker.pid)
        for worker in alive:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(timeout=20)
            worker.exited_at = time.monotonic()

    def _start_process(self, role: str, name: str, version: str) -> tuple[subprocess.Popen[bytes], int]:
        """Starts the command of a role, with low priority. Its output is appended to the log file of `name`.

        Returns:
            the process, and the offset in the log file at which its output begins.
        """
        with self._log_path(name).open("ab") as output:
            log_offset = output.tell()
            process = subprocess.Popen(
                [*DIE_WITH_PARENT, *self.commands[role]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self.environment, **self.versions.get(version, {})},
                start_new_session=True,
            )
        os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)
        return process, log_offset

    def _handle_exit(self, worker: Worker) -> None:
        """Records an exit, and sets the delay of the restart: short, or four times the last one if it exited early.

        A process that the run has killed, or that ran for over `STABLE_AFTER_S`, did not exit early.
        """
        worker.exited_at = time.monotonic()
        self._record_exit(worker)
        killed, stable = worker.pid in self._killed, worker.exited_at - worker.started_at > STABLE_AFTER_S
        longer_s = min(worker.restart_delay_s * 4, MAX_RESTART_DELAY_S)
        worker.restart_delay_s = RESTART_DELAY_S if killed or stable else max(RESTART_DELAY_S, longer_s)

    def _log_path(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _record_exit(self, worker: Worker) -> None:
        """Adds an exit, with the last lines of the process's output, to `exits`.

        Logs it if it is unexplained, or a failure that the run did not cause.
        """
        with self._log_path(worker.name).open("rb") as log:
            log.seek(worker.log_offset)
            output_tail = tail_lines(log.read().decode("utf-8", "replace"))
        code, requested = worker.process.returncode, worker.leaving or worker.pid in self._killed
        process_exit = ProcessExit(
            worker.name, code, requested=requested, finite=worker.role == self.finite_role, last_lines=output_tail
        )
        self.exits.append(process_exit)
        if not process_exit.explained:
            self.log(f"{worker.name} exited with {code}, which is unexplained")
        elif not requested and code:
            self.log(f"{worker.name} exited with {code}")


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
