"""`riskwire demo`: a fictional crisis through the real stages, watched on the page."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from riskwire.app.monitor import Monitor, open_monitor
from riskwire.cli.replay import bar
from riskwire.cli.terminal import printable
from riskwire.demo import corpus_path, watchlist_path
from riskwire.ingest.replay.run import replay as publish
from riskwire.logs import configure_logging
from riskwire.settings import Settings
from riskwire.web import bind


async def demo(settings: Settings, throw_away: bool, speed: float | None, once: bool) -> int:
    """Tell the story, then serve until stopped (or, with `once`, end)."""
    configure_logging(settings.log.model_copy(update={"level": "warning"}))
    listener = bind(settings.web)
    with _data(settings.data, throw_away) as data:
        settings = settings.model_copy(update={"data": data, "watchlist": watchlist_path()})
        async with open_monitor(settings, live=False) as monitor, asyncio.TaskGroup() as group:
            group.create_task(monitor.run_stages(), name="stages")
            started = asyncio.Event()

            def tell(url: str) -> None:
                print(f"A fictional crisis unfolds at {url} - watch Norvane Motors. Ctrl-C ends it.", file=sys.stderr)
                started.set()

            serving = group.create_task(monitor.serve(listener, tell), name="serve")
            await started.wait()
            with bar(None) as shown:
                await publish(monitor.bus, corpus_path(), settings, speed=speed, progress=shown.show)
                await shown.until_read(monitor)
            _tell(monitor)
            if once:
                serving.cancel()
                await monitor.bus.close()
            else:
                print("The story is told; the page stays until Ctrl-C.", file=sys.stderr)
    return 0


def _tell(monitor: Monitor) -> None:
    for row in reversed(monitor.store.alerts()):
        history = monitor.store.alert(row.id)
        for alert in history.records if history else ():
            print(f"{alert.at:%Y-%m-%d %H:%M}  {alert.status:<9}  {alert.severity:<8}  {printable(alert.summary)}")


@contextmanager
def _data(path: Path, throw_away: bool) -> Iterator[Path]:
    if not throw_away:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="riskwire-demo-") as folder:
        yield Path(folder)
