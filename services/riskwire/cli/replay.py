"""`riskwire replay`: an archive through all stages, until everything is read."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from riskwire.app.collector import settle
from riskwire.app.monitor import Monitor, open_monitor
from riskwire.bus.open import open_bus
from riskwire.ingest.replay.archive import open_archive
from riskwire.ingest.replay.run import ReplayProgress, ReplayReport
from riskwire.ingest.replay.run import replay as publish
from riskwire.logs import configure_logging
from riskwire.settings import Settings


async def replay(
    settings: Settings, archive: Path, *, speed: float | None, limit: int | None, publish_only: bool
) -> int:
    """Replay and wait until every stage has read everything."""
    configure_logging(settings.log)
    await asyncio.to_thread(open_archive, archive)  # refused before anything is opened or made
    with bar(limit) as shown:
        if publish_only:
            bus = await open_bus(settings)
            try:
                report = await publish(bus, archive, settings, speed=speed, limit=limit, progress=shown.show)
            finally:
                await bus.close()
        else:
            async with open_monitor(settings, live=False) as monitor:
                settle()
                report = await through_stages(monitor, archive, shown, speed=speed, limit=limit)
    _tell(report)
    return 0


async def through_stages(
    monitor: Monitor, archive: Path, bar: ReplayBar, *, speed: float | None, limit: int | None
) -> ReplayReport:
    """Publish an archive while the stages run, and end them when everything is read."""
    async with asyncio.TaskGroup() as group:
        group.create_task(monitor.run_stages(), name="stages")
        report = await publish(monitor.bus, archive, monitor.settings, speed=speed, limit=limit, progress=bar.show)
        await bar.until_read(monitor)
        await monitor.bus.close()
    return report


class ReplayBar:
    """How far the archive is published, then how much the stages still have to read."""

    def __init__(self, progress: Progress, limit: int | None) -> None:
        self._progress = progress
        self._limit = limit
        self._task = progress.add_task("replay", total=limit, at="", stories=0)

    def show(self, now: ReplayProgress) -> None:
        """Take the publisher's word."""
        done = now.stories if self._limit else now.read_bytes
        total = self._limit or now.size_bytes
        at = f"{now.seen_at:%Y-%m-%d %H:%M}" if now.seen_at else ""
        self._progress.update(self._task, completed=done, total=total, at=at, stories=now.stories)

    async def until_read(self, monitor: Monitor) -> None:
        """Wait for the stages, telling how many records they are behind."""
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._tell_lag(monitor))
            await monitor.drained()
            telling.cancel()

    async def _tell_lag(self, monitor: Monitor) -> None:
        while True:
            behind = sum(lag.records for lag in await monitor.bus.lag())
            self._progress.update(self._task, at=f"reading, {behind} records to go")
            await asyncio.sleep(0.5)


@contextmanager
def bar(limit: int | None) -> Iterator[ReplayBar]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[stories]} stories"),
        TextColumn("{task.fields[at]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield ReplayBar(progress, limit)


def _tell(report: ReplayReport) -> None:
    if report.nothing_new:
        print("Nothing new: this archive had been replayed here before.", file=sys.stderr)
        return
    resumed = f" (went on after line {report.resumed_at})" if report.resumed_at else ""
    bad = f", {report.bad} bad lines to the dead letters" if report.bad else ""
    print(f"Replayed {report.stories} stories{resumed}: {report.published} articles{bad}.", file=sys.stderr)
