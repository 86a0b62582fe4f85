"""Routes that act: score texts, and publish commands about alerts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Body
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from riskwire.records import Command, ScoreRequest, ScoreResult
from riskwire.settings import WebSettings
from riskwire.store import Store
from riskwire.web.problems import Problem
from riskwire.web.services import AppServices


class CommandRequest(BaseModel):
    """A command about an alert, as the client sends it; the server adds the time."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["acknowledge", "snooze", "comment", "false_alarm"]
    alert: str = Field(min_length=1, max_length=100)
    by: str = Field(min_length=1, max_length=100)
    comment: str = Field(default="", max_length=2_000)
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _require_fields_of_kind(self) -> CommandRequest:
        """Checks that the fields which this kind of command needs are set. Raises a ValueError if one is missing."""
        if self.kind == "snooze" and self.until is None:
            raise ValueError("snooze needs `until`")
        if self.kind == "comment" and not self.comment.strip():
            raise ValueError("comment needs `comment`")
        return self


def act_routes(store: Store, services: AppServices, settings: WebSettings) -> APIRouter:
    """Returns the routes that score texts and publish commands about alerts.

    Args:
        services: functions of the process; one that is None is answered with 503.
    """
    router = APIRouter(prefix="/api/v1")

    @router.post("/analyse")
    async def post_texts(texts: Annotated[list[ScoreRequest], Body()]) -> list[ScoreResult]:
        # Scores texts with the model, one result per text in order. Answers 413 for too many texts, 422 for a text or a
        # target span that is not valid, 503 without a model, 504 after the timeout. A docstring would enter the API
        # description.
        if len(texts) > settings.max_texts:
            raise Problem(413, f"body: {len(texts)} texts, web.max_texts is {settings.max_texts}. Send fewer at once.")
        _check_unicode(texts)
        _check_spans(texts)
        if services.score is None:
            raise Problem(503, "this process has no model; send the request to `riskwire run` or `riskwire serve`")
        if not texts:
            return []
        try:
            async with asyncio.timeout(settings.timeout_s):
                return await services.score(texts)
        except TimeoutError:
            raise Problem(504, f"the model took longer than web.timeout_s ({settings.timeout_s} s)") from None

    @router.post("/commands", status_code=202)
    async def post_command(request: CommandRequest) -> Command:
        # Publishes a command about an alert (such as an acknowledgement), and returns it with its time. Answers 503 if
        # the process cannot publish, 404 if there is no such alert, 504 after the timeout.
        if services.publish_command is None:
            raise Problem(503, "this process only reads; send the command to `riskwire run` or `riskwire serve`")
        if await store.off_loop(store.alert, request.alert) is None:
            raise Problem(404, f"there is no alert {request.alert!r}")
        command = Command(**request.model_dump(), at=datetime.now(UTC))
        try:
            async with asyncio.timeout(settings.timeout_s):
                await services.publish_command(command)
        except TimeoutError:
            raise Problem(504, f"the bus took longer than web.timeout_s ({settings.timeout_s} s)") from None
        return command

    return router


def _check_unicode(texts: list[ScoreRequest]) -> None:
    """Refuses a text with half of a surrogate pair, which JSON can escape and UTF-8 cannot encode.

    Raises:
        Problem: 422, with the field.
    """
    for index, text in enumerate(texts):
        for field, value in (("id", str(text.id)), ("text", text.text)):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise Problem(
                    422,
                    f"body.{index}.{field}: not Unicode: half of a surrogate pair at character {error.start} "
                    f"(got {value[error.start]!a})",
                ) from None


def _check_spans(texts: list[ScoreRequest]) -> None:
    """Refuses a target span outside its text.

    Raises:
        Problem: 422, with the field.
    """
    for index, text in enumerate(texts):
        for number, span in enumerate(text.targets or ()):
            if not span.start < span.end <= len(text.text):
                raise Problem(
                    422,
                    f"body.{index}.targets.{number}: not a span of the text "
                    f"(got {span.start} to {span.end} of {len(text.text)} characters)",
                )
