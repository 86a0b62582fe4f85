"""Routes that read what people decided: every decision, the mutes in force, and who the reader is."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from riskwire.records import Command, Record
from riskwire.store import CommandRow, Cursor, Store
from riskwire.store.reads.decisions import list_decisions, mutes_in_force
from riskwire.web.bounds import Before, BoundedRoute, Limit
from riskwire.web.session import ANYBODY, PRINCIPAL


class Me(Record):
    """Who sends the request: the owner of its token, or None if it has no name, and what the owner may do."""

    name: str | None
    roles: tuple[str, ...]


def decision_routes(store: Store) -> APIRouter:
    """Returns the routes that read decisions."""
    router = APIRouter(prefix="/api/v1", route_class=BoundedRoute)

    @router.get("/decisions")
    def decisions(request: Request, response: Response, limit: Limit = 100, before: Before = None) -> list[CommandRow]:
        # Who decided what and when, newest first. A full page has the address of the next in its header.
        rows = store.read(list_decisions, limit, Cursor.parse(before) if before else None)
        if len(rows) == limit:
            query = {**dict(request.query_params), "before": str(rows[-1].cursor)}
            response.headers["Link"] = f'<{request.scope["path"]}?{urlencode(query)}>; rel="next"'
        return rows

    @router.get("/mutes")
    def mutes() -> list[Command]:
        # The mutes in force, newest first.
        return list(store.read(mutes_in_force, datetime.now(UTC)).values())

    @router.get("/me")
    def me(request: Request) -> Me:
        principal = request.scope.get(PRINCIPAL, ANYBODY)
        return Me(name=principal.name, roles=tuple(sorted(principal.roles)))

    return router
