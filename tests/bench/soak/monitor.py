"""`riskwire` as a soak starts it: with the clock of the soak, and with traces of its memory on request.

With `SOAK_EVENT_TIME` (see `event_time.py`) live news is stamped by that clock; the ages of news are measured in real
time still. With `SOAK_TRACE` the signal SIGUSR1 appends to that file where the memory is that is held now.
"""

from __future__ import annotations

import gc
import os
import signal
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from event_time import EventTime
from memory import allocations, heaps, own_memory_mb

from riskwire import metrics
from riskwire.cli.main import main
from riskwire.ingest.stage import IngestStage
from riskwire.steady_clock import SteadyClock, elapsed_s

TRACE = "SOAK_TRACE"
_SHOWN = 40
_observe_ages = metrics.observe_ages


def follow(clock: EventTime) -> None:
    """Lets ingest and notify stamp by a clock."""

    def now() -> datetime:
        return clock.moment(time.time())

    def elapsed() -> float:
        return elapsed_s() * clock.factor

    def observe_ages(stage: str, seen: Iterable[datetime]) -> None:
        _observe_ages(stage, [datetime.fromtimestamp(clock.real_at(at.timestamp()), UTC) for at in seen])

    SteadyClock.__init__.__defaults__ = (now, elapsed)  # type: ignore[misc]
    IngestStage.__init__.__kwdefaults__["clock"] = now  # type: ignore[index]
    metrics.observe_ages = observe_ages


def trace_to(path: Path) -> None:
    """Traces allocations from now on, and appends what is held to a file at each SIGUSR1."""

    def write(number: int, frame: object) -> None:
        gc.collect()
        kinds = Counter(type(item).__name__ for item in gc.get_objects()).most_common(_SHOWN // 2)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"== {datetime.now(UTC):%H:%M:%S}: {own_memory_mb():,.0f} MiB resident\n")
            file.write(f"{heaps()}\n")
            file.writelines(f"{line}\n" for line in allocations(_SHOWN))
            file.write("objects: " + ", ".join(f"{kind} {count:,}" for kind, count in kinds) + "\n")

    tracemalloc.start(1)
    signal.signal(signal.SIGUSR1, write)


if __name__ == "__main__":
    if event_time := EventTime.from_environment():
        follow(event_time)
    if path := os.environ.get(TRACE):
        trace_to(Path(path))
    main()
