"""A replay that is cancelled ends soon, also while it skips blank lines or the rest of a huge line."""

from __future__ import annotations

import asyncio
import gzip
import time
from pathlib import Path

import pytest

from riskwire.bus.open import open_bus
from riskwire.ingest.replay.run import replay
from riskwire.settings import Settings

FIRST = b'{"published_at": "2026-11-01T10:00:00Z", "title": "Globex shares plunge after profit warning"}\n'
BLANK_LINES = gzip.compress(b"\n" * 1_000_000) * 500
HUGE_LINE = gzip.compress(b'{"title": "') + gzip.compress(b"x" * 1_000_000) * 5_000


@pytest.mark.parametrize("remainder", [BLANK_LINES, HUGE_LINE], ids=["blank lines", "one huge line"])
@pytest.mark.parametrize("first", [FIRST, b""], ids=["after a line", "from the beginning"])
async def test_a_cancelled_replay_stops_reading(tmp_path: Path, first: bytes, remainder: bytes) -> None:
    """The archive has a few kilobytes and decompresses to gigabytes, which takes many seconds to read.

    `asyncio.run` waits for the threads of its executor; a thread that went on reading would keep the process alive.
    """
    path = tmp_path / "news.jsonl.gz"
    path.write_bytes(gzip.compress(first) + remainder)
    settings = Settings(data=tmp_path / "data")
    bus = await open_bus(settings)
    try:
        task = asyncio.create_task(replay(bus, path, settings))
        await asyncio.sleep(0.3)
        assert not task.done(), "the replay must still be reading"
        used_s = time.process_time()  # and not the wall clock, which runs on while other processes work
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.get_running_loop().shutdown_default_executor()
        assert time.process_time() - used_s < 3.0
    finally:
        await bus.close()
