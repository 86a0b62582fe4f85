"""A program for test_bus_kill.py: copies articles to analyses through the batch loop and counts them in its state.

Arguments: the data directory, and `run` (until killed) or `drain` (exits with 0 once everything is read).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from copy_stage import CopyStage

from riskwire.bus.drain import wait_until_drained
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.bus.embedded.lock import lock_data_dir
from riskwire.settings import BusSettings
from riskwire.stage import run_stage


async def main(data: Path, until_drained: bool) -> None:
    """Runs the copy stage on the bus in a data directory; prints `open` when the bus is open.

    Args:
        until_drained: whether to close the bus once all articles are read, which ends the stage. Otherwise it runs, in
        smaller steps, until the process is killed.
    """
    bus = await EmbeddedBus.open(data, BusSettings(keep_processed=1_000_000))
    print("open", flush=True)
    running = asyncio.create_task(run_stage(bus, CopyStage(), batch=64 if until_drained else 4))
    if until_drained:
        await wait_until_drained(bus, ["copy"])
        await bus.close()
    await running


if __name__ == "__main__":
    with lock_data_dir(Path(sys.argv[1])):
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "drain"))
