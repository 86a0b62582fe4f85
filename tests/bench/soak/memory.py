"""Where the memory of a process goes: its resident set, and the places in the code that allocated what is held."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

SITE = re.compile(r".*/(?:site-packages|services|lib/python[0-9.]+)/")


def own_memory_mb() -> float:
    """Returns the resident memory of this process in MiB."""
    match = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(match[1]) / 1024 if match else 0.0


def allocations(most: int) -> Iterator[str]:
    """Yields a line for each of the places that allocated the most of what is held now: MiB, objects, place."""
    snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, tracemalloc.__file__)])
    statistics = snapshot.statistics("lineno")
    total = sum(statistic.size for statistic in statistics)
    yield f"{total / 2**20:9.1f} MiB traced"
    for statistic in statistics[:most]:
        frame = statistic.traceback[0]
        yield (
            f"{statistic.size / 2**20:9.1f} MiB {statistic.count:10,} objects  {SITE.sub('', frame.filename)}"
            f":{frame.lineno}"
        )
