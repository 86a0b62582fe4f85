"""The web app: API, live stream, probes and page for one store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from sse_starlette import EventSourceResponse
from starlette.responses import Response

from riskwire import __version__
from riskwire.settings import Settings
from riskwire.store import Store
from riskwire.web import problems
from riskwire.web.act_routes import act_routes
from riskwire.web.decision_routes import decision_routes
from riskwire.web.guard import Guard
from riskwire.web.live import Live
from riskwire.web.probes import probe_routes
from riskwire.web.read_routes import read_routes
from riskwire.web.services import AppServices, Readiness
from riskwire.web.silence_routes import silence_routes
from riskwire.web.status import StatusBoard
from riskwire.web.watchlist_routes import watchlist_routes

STATIC = Path(__file__).parent / "static"


def create_app(settings: Settings, store: Store, services: AppServices) -> FastAPI:
    """Returns the web app for an open store: API, page, live stream and probes.

    `app.state.live.stop()` ends its live streams, which a server must do before it shuts down.
    """
    board = StatusBoard(store, services, settings.time_zone)
    live = Live(store, board, settings.web.max_streams)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        """Runs the watcher of the store's changes while the app serves; then ends the live streams and the watcher."""
        watcher = asyncio.create_task(live.watch(), name="web-live")
        try:
            yield
        finally:
            await live.stop()
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher

    app = FastAPI(
        title="riskwire",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # the documentation pages load scripts from another host
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the Host header
        openapi_url="/api/v1/openapi.json",
    )
    app.state.live = live
    app.add_middleware(Guard, settings=settings.web)
    problems.install(app)
    app.include_router(probe_routes(services))
    app.include_router(read_routes(store, board))
    app.include_router(act_routes(store, services, settings.web))
    app.include_router(decision_routes(store))
    app.include_router(silence_routes(store, services))
    app.include_router(watchlist_routes(store, services, settings.web))

    @app.get("/api/v1/stream", response_class=EventSourceResponse)
    async def stream(last_event_id: Annotated[str | None, Header()] = None) -> EventSourceResponse:
        return await live.open(last_event_id)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-store"})

    app.mount("/static", _Static(directory=STATIC))
    return app


def create_probes(settings: Settings, ready: Callable[[], Readiness]) -> FastAPI:
    """Returns an app with health, readiness and metrics only, for a service without the page.

    Args:
        ready: returns the readiness of the process.
    """
    app = FastAPI(title="riskwire", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, settings=settings.web)
    problems.install(app)
    app.include_router(probe_routes(AppServices(ready=ready)))
    return app


def create_open_probes(settings: Settings, ready: Callable[[], Readiness]) -> FastAPI:
    """Returns the app of `web.probe_port`: `create_probes` without token and Host check."""
    web = settings.web.model_copy(update={"open_probes": True})
    return create_probes(settings.model_copy(update={"web": web}), ready)


class _Static(StaticFiles):
    """Static files that the browser revalidates each time, so that it never mixes files of two versions of the page."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response
