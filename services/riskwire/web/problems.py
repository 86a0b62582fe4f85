"""Errors as problem details (RFC 9457); `detail` has the message of riskwire's error."""

from __future__ import annotations

import time
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from riskwire import metrics
from riskwire.errors import LimitError, RiskwireError, SchemaError, SettingsError, StoreError
from riskwire.logs import Repeats

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_FAULTS = 20
"""The most invalid fields that one answer lists."""


class Problem(Exception):  # noqa: N818 - the name of RFC 9457
    """An error with the status and detail of its answer."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        """Takes the HTTP status, the text that the client reads, and additional headers of the answer."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def problem(
    status: int, detail: str, headers: dict[str, str] | None = None, errors: list[dict[str, str]] | None = None
) -> JSONResponse:
    """Returns the response for a problem: status, JSON body (RFC 9457) and headers.

    Args:
        errors: a place and a message for each invalid field of the request; left out of the body if there are none.
    """
    body: dict[str, object] = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Registers handlers on the app, so that every error is answered with a problem as JSON.

    Requests that the client can correct are answered with 422, other errors of riskwire with 503, unexpected errors
    with 500. Details of errors of the store and of unexpected errors are only in the log, once in 30 s for each kind of
    error; all are counted.
    """
    repeats = Repeats()

    def log_failure(event: str, request: Request, error: Exception, status: int) -> None:
        """Counts a failed request, and logs it unless the same kind of error was logged just now."""
        metrics.FAILED_REQUESTS.labels(status=str(status)).inc()
        suppressed = repeats.suppressed((event, type(error)), time.monotonic())
        if suppressed is not None:
            shown = {"error": str(error)} if isinstance(error, RiskwireError) else {"exc_info": error}
            log.error(event, path=request.scope["path"][:200], more=suppressed, **shown)

    @app.exception_handler(Problem)
    async def on_problem(_: Request, error: Problem) -> JSONResponse:
        return problem(error.status, error.detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        """Answers 422 with the first `MAX_FAULTS` invalid fields; the detail is the first."""
        faults = [
            {"place": ".".join(str(part) for part in fault["loc"] if part != ""), "message": _message(fault)}
            for fault in error.errors()[:MAX_FAULTS]
        ]
        return problem(422, f"{faults[0]['place']}: {faults[0]['message']}", errors=faults)

    @app.exception_handler(RiskwireError)
    async def on_riskwire(request: Request, error: RiskwireError) -> JSONResponse:
        """Answers 413 or 422 if the client can correct the request, else 503, which is logged. Hides store errors."""
        status = 422 if isinstance(error, SettingsError | SchemaError) else 503
        if isinstance(error, LimitError):
            status = 413
        if status == 503:
            log_failure("request failed", request, error, status)
        detail = "the store cannot be read; see the log" if isinstance(error, StoreError) else str(error)
        return problem(status, detail)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        """Answers an error of the framework, such as 404 or 405, as a problem with the same status and headers."""
        detail = f"there is nothing at {request.scope['path'][:200]}" if error.status_code == 404 else str(error.detail)
        return problem(error.status_code, detail, dict(error.headers) if error.headers else None)

    @app.exception_handler(Exception)
    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        log_failure("request failed unexpectedly", request, error, 500)
        return problem(500, "an unexpected error; see the log")


def _message(fault: dict[str, object]) -> str:
    if fault.get("type") == "json_invalid":
        context = fault.get("ctx")
        return f"no JSON: {context['error']}" if isinstance(context, dict) else "no JSON"
    shown = repr(fault.get("input"))
    got = f" (got {shown if len(shown) <= 120 else shown[:117] + '...'})" if fault.get("type") != "missing" else ""
    return f"{fault['msg']}{got}"
