"""Routes of the watchlist: what is on it, who changed it, and changing it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from riskwire.entities.watchlist import WatchedEntity, read_entry
from riskwire.errors import SettingsError
from riskwire.records import Record
from riskwire.settings import WebSettings
from riskwire.store import CommandRow, Cursor, Store
from riskwire.watching import Edit, Listed, WatchlistEditor
from riskwire.web.problems import Problem
from riskwire.web.services import AppServices

_T = TypeVar("_T")

By = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
EntryId = Annotated[str, Path(max_length=100)]


class EntryRequest(BaseModel):
    """An entry as a person sets it; its id is in the address."""

    model_config = ConfigDict(extra="forbid")

    by: By
    comment: str = Field(default="", max_length=2_000)
    name: str
    aliases: list[str] = []
    tickers: list[str] = []
    isin: str | None = None
    group: str | None = None


class Changed(Record):
    """What came of it: ids that were set or removed (none: it was so before).

    `first`: the list had been empty; from now on nothing but what is on it is followed. `emptied`: the list is empty;
    from now on every entity that is found is followed.
    """

    set: tuple[str, ...]
    removed: tuple[str, ...]
    first: bool
    emptied: bool


def watchlist_routes(store: Store, services: AppServices, settings: WebSettings) -> APIRouter:
    """The routes, over the services of the process."""
    router = APIRouter(prefix="/api/v1/watchlist")

    def editor() -> WatchlistEditor:
        if services.watchlist is None:
            raise Problem(503, "this process only reads its store; ask one that runs `riskwire run`")
        return services.watchlist

    @router.get("")
    async def listed() -> list[Listed]:
        return await _within(settings, editor().listed())

    @router.get("/log")
    def log(
        request: Request,
        response: Response,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
        before: Annotated[str | None, Query(max_length=300)] = None,
    ) -> list[CommandRow]:
        rows = store.watchlist_log(limit=limit, before=Cursor.parse(before) if before else None)
        if len(rows) == limit:
            query = {**dict(request.query_params), "before": str(rows[-1].cursor)}
            response.headers["Link"] = f'<{request.url.path}?{urlencode(query)}>; rel="next"'
        return rows

    @router.put("/{entry}", status_code=202)
    async def put(entry: EntryId, asked: EntryRequest) -> Changed:
        entity = _entity(entry, asked)
        try:
            edit = await _within(settings, editor().put([entity], asked.by, comment=asked.comment))
        except SettingsError as error:
            raise Problem(409, str(error)) from None
        return _changed(edit)

    @router.delete("/{entry}", status_code=202)
    async def remove(entry: EntryId, by: By, comment: Annotated[str, Query(max_length=2_000)] = "") -> Changed:
        edit = await _within(settings, editor().remove(entry, by, comment=comment))
        if edit.unknown:
            raise Problem(404, f"no entry {entry!r} was put on the watchlist by command")
        return _changed(edit)

    return router


def _entity(entry: str, asked: EntryRequest) -> WatchedEntity:
    given: dict[str, Any] = asked.model_dump(exclude={"by", "comment"}, exclude_none=True)
    return read_entry({"id": entry, **given}, "body")


def _changed(edit: Edit) -> Changed:
    return Changed(set=edit.set, removed=edit.removed, first=edit.first, emptied=edit.emptied)


async def _within(settings: WebSettings, answer: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(settings.timeout_s):
            return await answer
    except TimeoutError:
        raise Problem(504, f"the bus took longer than web.timeout_s ({settings.timeout_s} s)") from None
