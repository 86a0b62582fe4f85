"""Routes for orchestrators and Prometheus: health, readiness, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from riskwire.metrics import exposition
from riskwire.web.services import AppServices


def probe_routes(services: AppServices) -> APIRouter:
    """Returns the routes for orchestrators and Prometheus: liveness, readiness and metrics."""
    router = APIRouter()

    @router.get("/healthz", include_in_schema=False)
    async def health() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @router.get("/readyz", include_in_schema=False)
    async def ready() -> JSONResponse:
        """Answers with the state of each stage of this process; the status is 503 while a stage is not ready."""
        readiness = services.ready()
        body = {
            "ready": readiness.ready,
            "problems": readiness.problems,
            "stages": [stage.model_dump() for stage in readiness.stages],
        }
        return JSONResponse(body, 200 if readiness.ready else 503)

    @router.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE_LATEST)

    return router
