"""What a request may contain: bounded parameters, and JSON without half surrogate pairs or endless nesting."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

import orjson
from fastapi import Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""The range of times in queries. Adding a window or a step to a time in it does not overflow."""
LONGEST_S = 3_200_000_000
"""A century, in seconds."""
MAX_EVENT_ID = 20
"""Characters of an event id that can be a number of the store."""
MAX_PARTS = 1_000
"""Parts of a body that are looked at to name the place of a fault."""
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF_PAIR = re.compile("[\ud800-\udfff]")


def _bounded_time(time: datetime) -> datetime:
    """Returns a time in UTC. A time without a zone is UTC already.

    Raises:
        ValueError: the time is not between `EARLIEST` and `LATEST`. Pydantic reports it as a fault of the field.
    """
    try:
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError("a time at the end of the calendar") from None
    if not EARLIEST <= time <= LATEST:
        raise ValueError(f"a time between {EARLIEST:%Y} and {LATEST:%Y} is needed")
    return time


BoundedTime = Annotated[datetime, AfterValidator(_bounded_time)]
"""A time of a query or of a person's command, in UTC."""
Limit = Annotated[int, Query(ge=1, le=1_000)]
Share = Annotated[float, Query(ge=0.0, le=1.0)]
Before = Annotated[
    str | None, Query(max_length=300, description="Only rows older than this: a time, or the value of the next link")
]
Step = Annotated[int | None, Query(ge=1, le=LONGEST_S, description="By default chosen by the length")]
LastSeconds = Annotated[
    int | None,
    Query(ge=60, le=LONGEST_S, description="Seconds back from the newest data, instead of since"),
]
TargetFilter = Annotated[str | None, Query(max_length=1_000, description="Without one, all targets")]
TargetPath = Annotated[str, Path(max_length=1_000)]
AlertPath = Annotated[str, Path(max_length=100)]


def event_id(text: str | None) -> int | None:
    """Returns the number in a `Last-Event-ID`, or None if it is none that this server has sent."""
    return int(text) if text and len(text) <= MAX_EVENT_ID and text.isascii() and text.isdigit() else None


class JsonRequest(Request):
    """A request whose body is JSON that can be written again."""

    async def json(self) -> Any:
        """Returns the body, read as JSON.

        Raises:
            json.JSONDecodeError: no JSON, half of a surrogate pair (which Python's parser accepts and UTF-8 cannot
                encode), a number too long, or nested too deeply. FastAPI answers 422.
        """
        body = await self.body()
        try:
            value = json.loads(body)
        except json.JSONDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise json.JSONDecodeError(why, "", 0) from None
        if _ESCAPED_SURROGATE.search(body) and not _is_unicode(body, value):
            refusal = json.JSONDecodeError("not Unicode: half of a surrogate pair", "", 0)
            refusal.pos = ".".join(_place_of_half_pair(value))  # type: ignore[assignment]  # shown after `body`
            raise refusal
        return value


def _is_unicode(body: bytes, value: Any) -> bool:
    """Returns whether a body has no half of a surrogate pair. Takes its value too, as Python's parser read it."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:  # also for what only Python's parser accepts, such as NaN
        return _HALF_PAIR.search(json.dumps(value, ensure_ascii=False)) is None
    return True


def _place_of_half_pair(value: Any) -> tuple[str, ...]:
    """Returns the path to a text of a JSON value that has half of a surrogate pair; empty if it is far inside."""
    looked_at = 0
    waiting: list[tuple[tuple[str, ...], Any]] = [((), value)]
    while waiting and looked_at < MAX_PARTS:
        place, part = waiting.pop()
        looked_at += 1
        if isinstance(part, dict):
            waiting += [(place, key) for key in islice(part, MAX_PARTS)]
            waiting += [((*place, ascii(key)[1:-1]), field) for key, field in islice(part.items(), MAX_PARTS)]
        elif isinstance(part, list):
            waiting += [((*place, str(index)), element) for index, element in enumerate(part[:MAX_PARTS])]
        elif isinstance(part, str) and _HALF_PAIR.search(part):
            return place
    return ()


class BoundedRoute(APIRoute):
    """A route that reads its body as a `JsonRequest`."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Returns FastAPI's handler of the route, called with a `JsonRequest`."""
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json
