"""Routes for machines: health, readiness, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from riskwire.web.services import AppServices


def probe_routes(services: AppServices) -> APIRouter:
    """The routes, over the services of the process."""
    router = APIRouter()

    @router.get("/healthz", include_in_schema=False)
    async def health() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @router.get("/readyz", include_in_schema=False)
    async def ready() -> JSONResponse:
        found = services.ready()
        body = {
            "ready": found.ready,
            "problems": found.problems,
            "stages": [stage.model_dump() for stage in found.stages],
        }
        return JSONResponse(body, 200 if found.ready else 503)

    @router.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router
