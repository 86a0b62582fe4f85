"""Faults for processes: kill -9, and a sleep beyond the session timeout; seeded, so that a failure can be run again."""

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

_LOOK_S = 0.5
Start = Callable[[], subprocess.Popen[bytes]]


def seeded() -> random.Random:
    """Chance with a seed that is printed; `RISKWIRE_TEST_SEED` runs one again."""
    seed = int(os.environ.get("RISKWIRE_TEST_SEED", "0")) or random.randrange(1, 1_000_000)
    print(f"RISKWIRE_TEST_SEED={seed}")
    return random.Random(seed)


class Workers:
    """Processes of which one at a time is hurt and replaced or woken; `end` kills all."""

    def __init__(self, starts: Sequence[Start], asleep_s: float, chance: random.Random) -> None:
        self._starts = list(starts)
        self._asleep_s = asleep_s
        self._chance = chance
        self.running = [start() for start in self._starts]
        self.faults: Counter[str] = Counter()

    def hurt_one(self) -> None:
        """Kill one and start another, or let it sleep until the group has given its partitions away."""
        which = self._chance.randrange(len(self.running))
        process = self.running[which]
        ended = process.poll()
        if ended is not None:
            self.faults[f"had ended with {ended}"] += 1
            self.running[which] = self._starts[which]()
            return
        if self._chance.random() < 0.5:
            self.faults["SIGKILL"] += 1
            process.kill()
            process.wait(timeout=20)
            self.running[which] = self._starts[which]()
        else:
            self.faults["SIGSTOP, SIGCONT"] += 1
            process.send_signal(signal.SIGSTOP)
            time.sleep(self._asleep_s)  # the fault itself: a process that is not there for so long
            process.send_signal(signal.SIGCONT)

    def between(self, least_s: float, most_s: float) -> None:
        """Let them work for a while: the moment of the next fault is chance."""
        time.sleep(self._chance.uniform(least_s, most_s))

    def replace_ended(self) -> None:
        """Start anew what has ended, as an orchestrator does."""
        for which, process in enumerate(self.running):
            if process.poll() is not None:
                self.faults[f"had ended with {process.returncode}"] += 1
                self.running[which] = self._starts[which]()

    async def keep_until(self, done: Awaitable[None], within_s: float) -> None:
        """Wait for something, and start anew what ends meanwhile.

        Raises:
            TimeoutError: it was not in that time.
        """
        awaited = asyncio.ensure_future(done)
        try:
            async with asyncio.timeout(within_s):
                while not (await asyncio.wait([awaited], timeout=_LOOK_S))[0]:
                    self.replace_ended()
                await awaited
        finally:
            awaited.cancel()

    def end(self) -> None:
        """Kill all."""
        for process in self.running:
            process.kill()
            process.wait(timeout=20)


def logged(words: Sequence[object], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """A process whose output goes to the end of a file."""
    with log.open("ab") as out:
        return subprocess.Popen([str(word) for word in words], stdout=out, stderr=out, env=env)
