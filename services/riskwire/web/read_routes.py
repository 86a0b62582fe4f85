"""Routes that read: alerts, targets, trends, stories, status. Lists are JSON arrays; `Link: …; rel="next"` goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from riskwire.store import (
    AlertHistory,
    AlertRow,
    Cursor,
    Store,
    StoryRow,
    TargetKind,
    TargetOrder,
    TargetRow,
    Trend,
)
from riskwire.store.reads.alerts import StatusFilter
from riskwire.store.rows import to_ms
from riskwire.web.problems import Problem
from riskwire.web.status import Status, StatusBoard

MAX_POINTS = 2_000
STEPS = (60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800)
GOOD_POINTS = 100
"""Points that a step chosen by riskwire aims at."""

Limit = Annotated[int, Query(ge=1, le=1_000)]
Before = Annotated[
    str | None, Query(max_length=300, description="Only what is older: a time, or the next link's value")
]


def read_routes(store: Store, board: StatusBoard) -> APIRouter:
    """The routes, over a store. Plain functions: the framework runs them on its threads."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/alerts")
    def alerts(
        request: Request,
        response: Response,
        status: StatusFilter | None = None,
        target: Annotated[str | None, Query(max_length=1_000)] = None,
        limit: Limit = 100,
        before: Before = None,
    ) -> list[AlertRow]:
        rows = store.alerts(status=status, target=target, limit=limit, before=_cursor(before))
        _link_next(request, response, rows, limit)
        return rows

    @router.get("/alerts/{alert}")
    def alert_by_id(alert: str) -> AlertHistory:
        found = store.alert(alert)
        if found is None:
            raise Problem(404, f"there is no alert {alert[:100]!r}")
        return found

    @router.get("/targets")
    def targets(
        limit: Limit = 100,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        kind: TargetKind | None = None,
        query: Annotated[str | None, Query(max_length=200)] = None,
        order: TargetOrder = "alerts",
        spark: bool = False,
    ) -> list[TargetRow]:
        return store.targets(limit=limit, offset=offset, kind=kind, query=query, order=order, spark=spark)

    @router.get("/targets/{target:path}/trend")
    def trend(
        target: str,
        since: datetime | None = None,
        until: datetime | None = None,
        last_s: Annotated[int | None, Query(ge=60, description="Back from the newest data, instead of since")] = None,
        step_s: Annotated[int | None, Query(ge=1, description="By default what gives a good number of points")] = None,
    ) -> Trend:
        newest = store.newest() or datetime.now(UTC)
        end = _utc(until) or newest + timedelta(milliseconds=1)
        start = _utc(since)
        if start is None and last_s is not None:
            start = max(end - timedelta(seconds=min(last_s, 3_200_000_000)), datetime(1970, 1, 1, tzinfo=UTC))
        if start is not None and start >= end:
            raise Problem(422, f"query.since: not before until (got {start.isoformat()})")
        if start is None:
            whole = store.trend(target, until=end, step_s=STEPS[-1])
            start = whole.since if whole else end
        length_s = max((to_ms(end) - to_ms(start)) // 1_000, 60)
        step = step_s or next((step for step in STEPS if length_s / step <= GOOD_POINTS), STEPS[-1])
        if length_s / step > MAX_POINTS:
            raise Problem(422, f"query.step_s: more than {MAX_POINTS} points (got {step}). Take a longer step.")
        found = store.trend(target, since=start, until=end, step_s=step)
        if found is None:
            raise Problem(404, f"there is no target {target[:200]!r}")
        return found

    @router.get("/targets/{target:path}")
    def target_by_id(target: str, spark: bool = False) -> TargetRow:
        found = store.target(target, spark=spark)
        if found is None:
            raise Problem(404, f"there is no target {target[:200]!r}")
        return found

    @router.get("/stories")
    def stories(
        request: Request,
        response: Response,
        target: Annotated[str | None, Query(max_length=1_000, description="Without one: of all news")] = None,
        limit: Limit = 100,
        before: Before = None,
    ) -> list[StoryRow]:
        if target is not None and store.target(target) is None:
            raise Problem(404, f"there is no target {target[:200]!r}")
        rows = store.stories(target, limit=limit, before=_cursor(before))
        _link_next(request, response, rows, limit)
        return rows

    @router.get("/status")
    async def status() -> Status:
        return await board.read()

    return router


def _cursor(before: str | None) -> Cursor | None:
    return Cursor.parse(before) if before else None


def _utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    try:
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise Problem(422, f"query: not a time that can be used (got {time.isoformat()})") from None


def _link_next(request: Request, response: Response, rows: list[AlertRow] | list[StoryRow], limit: int) -> None:
    if len(rows) == limit:
        query = {**dict(request.query_params), "before": str(rows[-1].cursor)}
        response.headers["Link"] = f'<{request.url.path}?{urlencode(query)}>; rel="next"'
