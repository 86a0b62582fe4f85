"""Where the memory of a process goes: its resident set, and the places in the code that allocated what is held."""

from __future__ import annotations

import ctypes
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

SITE = re.compile(r".*/(?:site-packages|services|lib/python[0-9.]+)/")


def own_memory_mb() -> float:
    """Returns the resident memory of this process in MiB."""
    match = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(match[1]) / 1024 if match else 0.0


class _Mallinfo(ctypes.Structure):
    """What glibc says of its heaps (mallinfo2)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def heaps() -> str:
    """Returns how much memory glibc has given out, and how much it holds that is free, in one line; not Python's own.

    Small objects of Python lie in heaps of Python, which count as given out if they were requested from glibc.
    """
    libc = ctypes.CDLL(None)
    try:
        libc.mallinfo2.restype = _Mallinfo
        info = libc.mallinfo2()
    except AttributeError:
        return "no figures of glibc"
    before = own_memory_mb()
    libc.malloc_trim(0)
    return (
        f"glibc: {(info.uordblks + info.hblkhd) / 2**20:,.0f} MiB given out, {info.fordblks / 2**20:,.0f} MiB free in "
        f"heaps, of which {before - own_memory_mb():,.0f} MiB could be given back"
    )


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
