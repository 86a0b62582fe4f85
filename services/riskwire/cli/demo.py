"""`riskwire demo`: replays a fictional crisis through the stages, and serves the page."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, Port, run_to_end, settings_of, speed_of
from riskwire.settings import Settings


def demo(
    data: Data = None,
    port: Port = None,
    speed: Annotated[
        str, typer.Option("--speed", metavar="N|max", help="Seconds of the story per real second, or `max`.")
    ] = "45000",
    once: Annotated[bool, typer.Option("--once", help="Exit at the end of the story.")] = False,
    config: ConfigFile = None,
) -> None:
    """Replay a fictional crisis through the real stages and watch it on the page. Needs no network."""
    settings = settings_of(config, data=data, web__port=port)
    run_to_end(run_demo(settings, temporary=data is None, speed=speed_of(speed), once=once), serves=True)


async def run_demo(settings: Settings, *, temporary: bool, speed: float | None, once: bool) -> int:
    """Replays the story through all stages but ingest, prints its alerts, then serves until stopped.

    Notifications are only logged. Returns exit code 0.

    Args:
        temporary: keeps the data in a temporary directory, which is deleted at the end.
        speed: seconds of the story per real second; None for as fast as possible.
        once: exits at the end of the story.
    """
    from riskwire.app.processes import open_process
    from riskwire.cli.replay import replay_bar
    from riskwire.demo import corpus_path, watchlist_path
    from riskwire.ingest.replay.run import replay as publish
    from riskwire.logs import configure_logging
    from riskwire.pipeline import INGEST, STAGES
    from riskwire.web import bind

    configure_logging(settings.log.model_copy(update={"level": "warning"}))
    stages = [stage for stage in STAGES if stage is not INGEST]
    listener = bind(settings.web)
    with _data_directory(settings.data, temporary=temporary) as data:
        settings = settings.model_copy(update={"data": data, "watchlist": watchlist_path()})
        async with open_process(settings, stages, page=True, live=False) as process, asyncio.TaskGroup() as group:
            group.create_task(process.run_stages(), name="stages")
            started = asyncio.Event()

            def announce(url: str) -> None:
                print(f"A fictional crisis unfolds at {url} - watch Norvane Motors. Ctrl-C ends it.", file=sys.stderr)
                started.set()

            serving = group.create_task(process.serve(listener, announce), name="serve")
            await started.wait()
            with replay_bar(None) as bar:
                await publish(process.bus, corpus_path(), settings, speed=speed, progress=bar.show)
                await bar.wait_until_drained(process)
            _print_alerts(settings)
            if once:
                serving.cancel()
                await process.bus.close()
            else:
                print("The story has ended; the page stays until Ctrl-C.", file=sys.stderr)
    return 0


def _print_alerts(settings: Settings) -> None:
    """Prints every record of every alert in the store, to standard output.

    The alert whose newest record is oldest comes first; the records of an alert are oldest first.
    """
    from riskwire.cli.data import open_existing_store
    from riskwire.cli.terminal import printable

    with open_existing_store(settings) as store:
        for row in reversed(store.alerts()):
            history = store.alert(row.id)
            for alert in history.records if history else ():
                at = f"{alert.at.astimezone(settings.zone):%Y-%m-%d %H:%M} {settings.zone}"
                print(f"{at}  {alert.status:<9}  {alert.severity:<8}  {printable(alert.summary)}")


@contextmanager
def _data_directory(path: Path, *, temporary: bool) -> Iterator[Path]:
    """Yields the data directory of the demo: `path`, or a new one that is deleted at the end."""
    if not temporary:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="riskwire-demo-") as directory:
        yield Path(directory)
