"""Fixtures of the integration tests of ingest."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from feeds.website import Website


@pytest.fixture
async def website() -> AsyncIterator[Website]:
    """Yields a website on a free port of this machine; a test sets what each of its `pages` answers."""
    site = Website()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.respond)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    site.port = runner.addresses[0][1]
    yield site
    await runner.cleanup()
