"""Routes of the watchlist: read its entries, change them, read the log of changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from riskwire.entities.watchlist import WatchedEntity, Weight, read_entry
from riskwire.errors import SettingsError
from riskwire.records import Record
from riskwire.settings import WebSettings
from riskwire.store import CommandRow, Cursor, Store
from riskwire.watching import ListedEntry, WatchlistEdit, WatchlistEditor
from riskwire.web.bounds import Before, BoundedRoute, Limit
from riskwire.web.problems import Problem
from riskwire.web.services import AppServices
from riskwire.web.session import decided_by

_Answer = TypeVar("_Answer")

_Name = Annotated[str, Field(max_length=300)]
By = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
EntryId = Annotated[str, Path(max_length=100)]


class EntryRequest(BaseModel):
    """An entry as the client sends it; its id is in the address."""

    model_config = ConfigDict(extra="forbid")

    by: By | None = None
    comment: str = Field(default="", max_length=2_000)
    name: _Name
    aliases: Annotated[list[_Name], Field(max_length=200)] = []
    tickers: Annotated[list[_Name], Field(max_length=100)] = []
    isin: _Name | None = None
    group: _Name | None = None
    exclude: Annotated[list[_Name], Field(max_length=100)] = []
    weight: Weight = 1.0


class EditResult(Record):
    """The effect of a change.

    Attributes:
        set: ids of entries that were added or changed; empty if the entry was the same before.
        removed: ids of entries that were removed.
        first: the list was empty before, so from now on only its entries are followed.
        emptied: the list is empty now, so from now on every entity that is found is followed.
    """

    set: tuple[str, ...]
    removed: tuple[str, ...]
    first: bool
    emptied: bool


def watchlist_routes(store: Store, services: AppServices, settings: WebSettings) -> APIRouter:
    """Returns the routes that read and change the watchlist, and read the log of its changes."""
    router = APIRouter(prefix="/api/v1/watchlist", route_class=BoundedRoute)

    def editor() -> WatchlistEditor:
        """Returns the editor of the watchlist. Raises a `Problem` with 503 if this process has none."""
        if services.watchlist is None:
            raise Problem(503, "this process only reads its store; send this to `riskwire run` or `riskwire serve`")
        return services.watchlist

    @router.get("")
    async def entries() -> list[ListedEntry]:
        return await _with_timeout(settings, editor().entries())

    @router.get("/log")
    def log(
        request: Request,
        response: Response,
        limit: Limit = 100,
        before: Before = None,
    ) -> list[CommandRow]:
        # The commands that changed the watchlist, newest first. A full page has the address of the next in its header.
        rows = store.watchlist_log(limit=limit, before=Cursor.parse(before) if before else None)
        if len(rows) == limit:
            query = {**dict(request.query_params), "before": str(rows[-1].cursor)}
            response.headers["Link"] = f'<{request.scope["path"]}?{urlencode(query)}>; rel="next"'
        return rows

    @router.put("/{entry}", status_code=202)
    async def put(entry: EntryId, body: EntryRequest, request: Request) -> EditResult:
        # Adds the entry with this id, or changes it. Answers 422 for an invalid entry, and
        # 409 if the list refuses it, such as for a name that another entry has.
        entity, by = _entity(entry, body), decided_by(request, body.by)
        try:
            edit = await _with_timeout(settings, editor().put([entity], by, comment=body.comment))
        except SettingsError as error:
            raise Problem(409, str(error)) from None
        return _edit_result(edit)

    @router.delete("/{entry}", status_code=202)
    async def remove(
        entry: EntryId, request: Request, by: By | None = None, comment: Annotated[str, Query(max_length=2_000)] = ""
    ) -> EditResult:
        # Removes an entry that was added by a command. One of the watchlist file is unknown here, and is answered 404.
        edit = await _with_timeout(
            settings, editor().remove(entry, decided_by(request, by, "query.by"), comment=comment)
        )
        if edit.unknown:
            raise Problem(404, f"no entry {entry!r} was added to the watchlist by a command")
        return _edit_result(edit)

    return router


def _entity(entry: str, request: EntryRequest) -> WatchedEntity:
    fields: dict[str, Any] = request.model_dump(exclude={"by", "comment"}, exclude_none=True)
    return read_entry({"id": entry, **fields}, "body")


def _edit_result(edit: WatchlistEdit) -> EditResult:
    return EditResult(set=edit.set, removed=edit.removed, first=edit.first, emptied=edit.emptied)


async def _with_timeout(settings: WebSettings, answer: Awaitable[_Answer]) -> _Answer:
    """Awaits an answer of the watchlist editor, which uses the bus. Raises a `Problem` with 504 after the timeout."""
    try:
        async with asyncio.timeout(settings.timeout_s):
            return await answer
    except TimeoutError:
        raise Problem(504, f"the bus took longer than web.timeout_s ({settings.timeout_s} s)") from None
