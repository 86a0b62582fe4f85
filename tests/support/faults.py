"""Faults for processes: SIGKILL, and a sleep beyond the session timeout. The seed is printed, to repeat a failure."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

_POLL_S = 0.5
StartProcess = Callable[[], subprocess.Popen[bytes]]


def seeded_random() -> random.Random:
    """Returns a generator whose seed is printed. Set `RISKWIRE_TEST_SEED` to repeat a run."""
    seed = int(os.environ.get("RISKWIRE_TEST_SEED", "0")) or random.randrange(1, 1_000_000)
    print(f"RISKWIRE_TEST_SEED={seed}")
    return random.Random(seed)


class Workers:
    """Worker processes. A fault hits one worker, which is then restarted or woken.

    Attributes:
        running: the process of each worker.
        faults: how often each fault was injected.
    """

    def __init__(self, starts: Sequence[StartProcess], sleep_s: float, rng: random.Random) -> None:
        """Starts every worker.

        Args:
            starts: a function for each worker, which starts its process.
            sleep_s: how long a suspended worker sleeps; longer than the session timeout, so that its group replaces it.
            rng: chooses the worker, the fault and the time of each fault.
        """
        self._starts = list(starts)
        self._sleep_s = sleep_s
        self._rng = rng
        self.running = [start() for start in self._starts]
        self.faults: Counter[str] = Counter()

    def inject_fault(self) -> None:
        """Injects a fault into a random worker process, and counts it in `faults`.

        Kills the process and starts it again, or suspends it for `sleep_s`, in which the group should reassign
        its partitions. A process that had exited is only started again.
        """
        index = self._rng.randrange(len(self.running))
        process = self.running[index]
        code = process.poll()
        if code is not None:
            self.faults[f"had exited with {code}"] += 1
            self.running[index] = self._starts[index]()
            return
        if self._rng.random() < 0.5:
            self.faults["SIGKILL"] += 1
            process.kill()
            process.wait(timeout=20)
            self.running[index] = self._starts[index]()
        else:
            self.faults["SIGSTOP, SIGCONT"] += 1
            process.send_signal(signal.SIGSTOP)
            time.sleep(self._sleep_s)  # this is the fault itself
            process.send_signal(signal.SIGCONT)

    def work_for_a_while(self, min_s: float, max_s: float) -> None:
        """Lets the workers work for a random time before the next fault."""
        time.sleep(self._rng.uniform(min_s, max_s))

    def restart_exited(self) -> None:
        """Starts the workers again that have exited, as an orchestrator does."""
        for index, process in enumerate(self.running):
            if process.poll() is not None:
                self.faults[f"had exited with {process.returncode}"] += 1
                self.running[index] = self._starts[index]()

    async def run_until(self, condition: Awaitable[None], timeout_s: float) -> None:
        """Waits until `condition` returns, and restarts workers that exit meanwhile. Raises the errors of `condition`.

        Raises:
            TimeoutError: the condition did not return within `timeout_s`; it was cancelled.
        """
        waiting = asyncio.ensure_future(condition)
        try:
            async with asyncio.timeout(timeout_s):
                while not (await asyncio.wait([waiting], timeout=_POLL_S))[0]:
                    self.restart_exited()
                await waiting
        finally:
            waiting.cancel()

    def kill_all(self) -> None:
        """Kills every worker."""
        for process in self.running:
            process.kill()
            process.wait(timeout=20)


def start_logged(words: Sequence[object], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Starts a process whose output is appended to a file."""
    with log.open("ab") as out:
        return subprocess.Popen([str(word) for word in words], stdout=out, stderr=out, env=env)
