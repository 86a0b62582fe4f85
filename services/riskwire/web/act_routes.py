"""Routes that act: score texts, and publish decisions about alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from pydantic import Field

from riskwire.deciding import DecisionRequest, decision_command
from riskwire.errors import SettingsError
from riskwire.records import Command, ScoreRequest, ScoreResult
from riskwire.settings import WebSettings
from riskwire.store import Store
from riskwire.web.bounds import BoundedRoute
from riskwire.web.problems import Problem
from riskwire.web.services import AppServices
from riskwire.web.session import decided_by

MAX_TARGETS = 1_000
"""The most spans whose sentiment one request to `/analyse` may ask for."""


class CommandRequest(DecisionRequest):
    """A decision as the client sends it; the server adds the time.

    Attributes:
        by: who decides. Left out with a named token, whose owner it is.
    """

    by: str | None = Field(default=None, min_length=1, max_length=100, pattern=r"\S")


class CommandAnswer(Command):
    """A decision that was published, and the one in force before that it replaces."""

    replaced: Command | None = None


def act_routes(store: Store, services: AppServices, settings: WebSettings) -> APIRouter:
    """Returns the routes that score texts and publish decisions about alerts.

    Args:
        services: functions of the process; one that is None is answered with 503.
    """
    router = APIRouter(prefix="/api/v1", route_class=BoundedRoute)
    analyses = asyncio.Semaphore(settings.max_analyses)

    @router.post("/analyse", response_model=list[ScoreResult])
    async def post_texts(request: Request, texts: Annotated[list[ScoreRequest], Body()]) -> Response:
        # Scores texts with the model, one result per text in order. Answers 413 for too many texts, targets or
        # sentences, 422 for a text or a target span that is not valid, 503 without a model or while too many requests
        # are being answered, 504 after the timeout. A docstring would enter the API description.
        if len(texts) > settings.max_texts:
            raise Problem(413, f"body: {len(texts)} texts, web.max_texts is {settings.max_texts}. Send fewer at once.")
        _check_spans(texts)
        if services.score is None:
            raise Problem(503, "this process has no model; send the request to `riskwire run` or `riskwire serve`")
        if not texts:
            return _json([])
        if analyses.locked():
            why = f"web.max_analyses: {settings.max_analyses} requests are being answered already"
            raise Problem(503, why, {"Retry-After": "2"})
        async with analyses:
            try:
                async with asyncio.timeout(settings.timeout_s):
                    results = await _unless_abandoned(services.score(texts), request)
            except TimeoutError:
                raise Problem(504, f"the model took longer than web.timeout_s ({settings.timeout_s} s)") from None
            return await asyncio.to_thread(_json, results)

    @router.post("/commands", status_code=202)
    async def post_command(body: CommandRequest, request: Request) -> CommandAnswer:
        # Publishes a decision about an alert (such as an acknowledgement) or a mute, and returns it with its time and
        # the decision that it replaces. Answers 503 if the process cannot publish, 404 if there is no such alert, 409
        # if it has ended and such a decision is no longer possible, 504 after the timeout.
        if services.publish_command is None:
            raise Problem(503, "this process only reads; send the command to `riskwire run` or `riskwire serve`")
        by = decided_by(request, body.by)
        alert = None if body.alert is None else await store.off_loop(store.alert, body.alert)
        if body.alert is not None and alert is None:
            raise Problem(404, f"there is no alert {body.alert!r}")
        try:
            command = decision_command(body, alert, by, datetime.now(UTC))
        except SettingsError as error:
            raise Problem(409, str(error)) from None
        try:
            async with asyncio.timeout(settings.timeout_s):
                replaced = await services.publish_command(command)
        except TimeoutError:
            raise Problem(504, f"the bus took longer than web.timeout_s ({settings.timeout_s} s)") from None
        return CommandAnswer(**command.model_dump(), replaced=replaced)

    return router


async def _unless_abandoned(answer: Awaitable[list[ScoreResult]], request: Request) -> list[ScoreResult]:
    """Awaits an answer, and cancels its computation if the client disconnects.

    Raises:
        Problem: 408, which no client reads: the client has disconnected.
    """
    work = asyncio.ensure_future(answer)
    disconnection = asyncio.create_task(_until_gone(request), name="web-client")
    try:
        await asyncio.wait([work, disconnection], return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise Problem(408, "the client has gone")
        return work.result()
    finally:
        tasks = (work, disconnection)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    """Returns when the client has closed the connection. The body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _json(results: Sequence[ScoreResult]) -> Response:
    """Returns the response of `/analyse`. A thousand sentences take a thread some 30 ms."""
    return Response(b"[" + b",".join(result.to_bytes() for result in results) + b"]", media_type="application/json")


def _check_spans(texts: list[ScoreRequest]) -> None:
    """Refuses target spans outside their text, and more than `MAX_TARGETS` spans.

    Raises:
        Problem: 413 for too many, 422 with the field.
    """
    targets = sum(len(text.targets or ()) for text in texts)
    if targets > MAX_TARGETS:
        raise Problem(413, f"body: {targets} targets; at most {MAX_TARGETS} are allowed. Send fewer at once.")
    for index, text in enumerate(texts):
        for number, span in enumerate(text.targets or ()):
            if not span.start < span.end <= len(text.text):
                raise Problem(
                    422,
                    f"body.{index}.targets.{number}: not a span of the text "
                    f"(got {span.start} to {span.end} of {len(text.text)} characters)",
                )
