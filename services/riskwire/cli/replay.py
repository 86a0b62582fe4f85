"""`riskwire replay`: publishes an archive and runs it through all stages."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskwire.cli.options import Archive, ConfigFile, Data, StoryLimit, WatchlistFile, run_to_end, settings_of, speed_of
from riskwire.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress

    from riskwire.app.processes import Process
    from riskwire.ingest.replay.run import ReplayProgress, ReplayReport


def replay(
    archive: Archive,
    data: Data = None,
    speed: Annotated[
        str, typer.Option("--speed", metavar="N|max", help="Archive seconds per real second, or `max`.")
    ] = "max",
    limit: StoryLimit = None,
    publish_only: Annotated[
        bool, typer.Option("--publish-only", help="Only publish the articles; run no other stage.")
    ] = False,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=NAME,…", help="Other names of fields, e.g. title=headline."),
    ] = None,
    watchlist: WatchlistFile = None,
    config: ConfigFile = None,
) -> None:
    """Replay an archive through all stages to its end. Continues an earlier run that was interrupted."""
    settings = settings_of(config, data=data, watchlist=watchlist)
    replayed = replay_archive(
        settings, archive, speed=speed_of(speed), limit=limit, publish_only=publish_only, maps=map_ or ()
    )
    run_to_end(replayed)


async def replay_archive(
    settings: Settings,
    archive: Path,
    *,
    speed: float | None,
    limit: int | None,
    publish_only: bool,
    maps: Sequence[str] = (),
) -> int:
    """Publishes an archive and waits until every stage has read everything. Prints the counts.

    Ingest does not run, and notifications are only logged.

    Args:
        speed: archive seconds per real second; None for as fast as possible.
        limit: the most stories to publish; None for all.
        publish_only: runs no stage, so it only publishes.
        maps: the names of fields in the archive, such as `title=headline`.

    Returns:
        the exit code: 1 if no line could be read, else 0.

    Raises:
        RiskwireError: the file is not an archive, or none of its first lines can be read.
    """
    from riskwire.app.garbage_collection import settle_garbage_collector
    from riskwire.app.processes import open_process
    from riskwire.bus.open import open_bus
    from riskwire.ingest.replay.archive import open_archive
    from riskwire.ingest.replay.archive_item import names_of
    from riskwire.ingest.replay.run import replay as publish
    from riskwire.pipeline import INGEST, STAGES

    names = names_of(maps)
    # Refuses a bad archive before anything is created.
    await asyncio.to_thread(open_archive, archive, names, settings.ingest.max_line)
    with replay_bar(limit) as bar:
        if publish_only:
            bus = await open_bus(settings)
            try:
                report = await publish(bus, archive, settings, speed=speed, limit=limit, progress=bar.show, names=names)
            finally:
                await bus.close()
        else:
            stages = [stage for stage in STAGES if stage is not INGEST]
            async with open_process(settings, stages, page=False, live=False) as process:
                settle_garbage_collector()
                report = await _replay_through_stages(process, archive, bar, speed=speed, limit=limit, names=names)
    _print_report(report)
    return 1 if report.nothing_readable else 0


async def _replay_through_stages(
    process: Process,
    archive: Path,
    bar: ReplayBar,
    *,
    speed: float | None,
    limit: int | None,
    names: Mapping[str, str] | None = None,
) -> ReplayReport:
    """Publishes an archive while the stages run, and closes the bus when the stages have read everything.

    Closing the bus ends the stages.

    Args:
        speed: seconds of the archive per real second; None for as fast as the stages read.
        limit: the most stories to publish; None for all.
        names: for fields of an item the name that the archive uses.

    Returns:
        the counts of the published stories.
    """
    from riskwire.ingest.replay.run import replay as publish

    async with asyncio.TaskGroup() as group:
        group.create_task(process.run_stages(), name="stages")
        report = await publish(
            process.bus, archive, process.settings, speed=speed, limit=limit, progress=bar.show, names=names
        )
        await bar.wait_until_drained(process)
        await process.bus.close()
    return report


class ReplayBar:
    """A progress bar: first how much of the archive is published, then how much the stages still have to read."""

    def __init__(self, progress: Progress, limit: int | None) -> None:
        self._progress = progress
        self._limit = limit
        self._task = progress.add_task("replay", total=limit, at="", stories=0)

    def show(self, replayed: ReplayProgress) -> None:
        """Shows how much of the archive is published: in stories if there is a limit, else in bytes of the file."""
        completed = replayed.stories if self._limit else replayed.read_bytes
        total = self._limit or replayed.size_bytes
        at = f"{replayed.seen_at:%Y-%m-%d %H:%M} UTC" if replayed.seen_at else ""
        self._progress.update(self._task, completed=completed, total=total, at=at, stories=replayed.stories)

    async def wait_until_drained(self, process: Process) -> None:
        """Waits until the stages have read every record, and shows meanwhile how many are left."""
        async with asyncio.TaskGroup() as group:
            lag_task = group.create_task(self._show_lag(process))
            await process.wait_until_drained()
            lag_task.cancel()

    async def _show_lag(self, process: Process) -> None:
        """Shows twice a second how many records the stages have not read yet, until cancelled."""
        while True:
            records = sum(lag.records for lag in await process.bus.lag())
            self._progress.update(self._task, at=f"reading, {records} records to go")
            await asyncio.sleep(0.5)


@contextmanager
def replay_bar(limit: int | None) -> Iterator[ReplayBar]:
    """Shows a progress bar on standard error, if that is a terminal.

    Args:
        limit: the number of stories to replay; None for the whole archive.
    """
    from riskwire.cli.terminal import stories_bar

    with stories_bar("at") as progress:
        yield ReplayBar(progress, limit)


def _print_report(report: ReplayReport) -> None:
    """Prints the counts of a finished replay, to standard error.

    A replay continues where an earlier one of the archive ended, after line `resumed_at`, and counts from there.
    """
    from riskwire.cli.terminal import counted

    if report.nothing_new:
        print("Nothing new: this archive has been replayed here before.", file=sys.stderr)
        return
    resumed = f" (continued after line {report.resumed_at})" if report.resumed_at else ""
    bad_lines = f", {counted(report.bad, 'bad line')} to the dead letters" if report.bad else ""
    stories, articles = counted(report.stories, "story", "stories"), counted(report.published, "article")
    print(f"Replayed {stories}{resumed}: {articles}{bad_lines}.", file=sys.stderr)
