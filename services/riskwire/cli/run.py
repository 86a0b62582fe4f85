"""`riskwire run`: poll, read, alert and serve, in one process."""

from __future__ import annotations

import asyncio
import sys

from riskwire.app.collector import settle
from riskwire.app.monitor import open_monitor
from riskwire.ingest.feeds.feedlist import DEFAULT_FEEDS, read_feeds
from riskwire.ingest.feeds.publication import feeds_of, publish_feeds
from riskwire.ingest.stage import run_ingest
from riskwire.logs import configure_logging
from riskwire.settings import Settings
from riskwire.web import bind


async def run(settings: Settings) -> int:
    """Run until stopped."""
    configure_logging(settings.log)
    feeds = read_feeds(settings.feeds or DEFAULT_FEEDS)
    listener = bind(settings.web)
    async with open_monitor(settings, live=True) as monitor:
        await publish_feeds(monitor.bus, feeds)
        enabled = (await feeds_of(monitor.bus)).polled

        def started(url: str) -> None:
            print(f"riskwire is at {url} and polls {enabled} feeds; data in {settings.data}", file=sys.stderr)

        settle()
        async with asyncio.TaskGroup() as group:
            group.create_task(monitor.run_stages(), name="stages")
            group.create_task(run_ingest(monitor.bus, settings), name="ingest")
            group.create_task(monitor.serve(listener, started), name="serve")
    return 0
