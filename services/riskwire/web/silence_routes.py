"""The route that shows the silences of Alertmanager, and which open alerts they cover."""

from __future__ import annotations

from fastapi import APIRouter

from riskwire.errors import NotifyError
from riskwire.store import Store
from riskwire.web.bounds import BoundedRoute
from riskwire.web.problems import Problem
from riskwire.web.services import AppServices, SilenceRow

_MAX_OPEN = 1_000
"""Open alerts that are compared with the silences; the newest."""


def silence_routes(store: Store, services: AppServices) -> APIRouter:
    """Returns the route of silences. Without an Alertmanager there are none."""
    router = APIRouter(prefix="/api/v1", route_class=BoundedRoute)

    @router.get("/silences")
    async def silences() -> list[SilenceRow]:
        if services.silences is None:
            return []
        alerts = await store.off_loop(store.alerts, status="open", limit=_MAX_OPEN)
        try:
            return await services.silences(alerts)
        except NotifyError as error:
            raise Problem(503, f"the silences of Alertmanager cannot be read: {error}") from None

    return router
