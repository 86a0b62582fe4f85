"""Routes that read: alerts, targets, trends, stories, status.

A list is a JSON array; the header `Link: …; rel="next"` has the address of its next page.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from riskwire.records import NearMiss, to_ms
from riskwire.store import (
    AlertHistory,
    AlertOrder,
    AlertRow,
    Cursor,
    NearMissQuery,
    StatusFilter,
    Store,
    StoryRow,
    TargetKind,
    TargetOrder,
    TargetRow,
    Trend,
)
from riskwire.web.bounds import (
    EARLIEST,
    AlertPath,
    Before,
    BoundedRoute,
    BoundedTime,
    LastSeconds,
    Limit,
    Share,
    Step,
    TargetFilter,
    TargetPath,
)
from riskwire.web.problems import Problem
from riskwire.web.status import Status, StatusBoard

MAX_POINTS = 2_000
"""The most points of one trend."""
STEPS_S = (60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800)
"""Steps to choose from where the client names none."""
TARGET_POINTS = 100
"""The most points of a trend whose step the server chooses."""


def read_routes(store: Store, board: StatusBoard) -> APIRouter:
    """Returns the routes that read the store: alerts, targets, trends, stories, status.

    They are not coroutines, so the framework runs them in threads.
    """
    router = APIRouter(prefix="/api/v1", route_class=BoundedRoute)

    @router.get("/alerts")
    def alerts(
        request: Request,
        response: Response,
        status: StatusFilter | None = None,
        target: TargetFilter = None,
        limit: Limit = 100,
        before: Before = None,
        order: AlertOrder = "newest",
    ) -> list[AlertRow]:
        # The newest record of each alert. `before` is the cursor of the next page. `order` is `newest` first, or
        # `priority`: the weight of the target times the severity (1, 2, 3), the largest first.
        ranked = order == "priority"
        cursor = Cursor.parse(before, ranked=ranked) if before else None
        rows = store.alerts(status=status, target=target, limit=limit, before=cursor, order=order)
        if rows:
            _link_next(request, response, rows[-1].ranked_cursor if ranked else rows[-1].cursor, len(rows) == limit)
        return rows

    @router.get("/alerts/{alert}")
    def alert_by_id(alert: AlertPath) -> AlertHistory:
        # An alert with all its records and the commands about it.
        history = store.alert(alert)
        if history is None:
            raise Problem(404, f"there is no alert {alert[:100]!r}")
        return history

    @router.get("/targets")
    def targets(
        limit: Limit = 100,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        kind: TargetKind | None = None,
        query: Annotated[str | None, Query(max_length=200)] = None,
        order: TargetOrder = "alerts",
        spark: bool = False,
    ) -> list[TargetRow]:
        # A page of targets. `query` is text in name, target or groups; `spark` adds the scores of the last seven days.
        return store.targets(limit=limit, offset=offset, kind=kind, query=query, order=order, spark=spark)

    @router.get("/targets/{target:path}/trend")
    def trend_of_target(
        target: TargetPath,
        since: BoundedTime | None = None,
        until: BoundedTime | None = None,
        last_s: LastSeconds = None,
        step_s: Step = None,
    ) -> Trend:
        # A time range of one target, cut into equal steps; by default all its data up to the newest record. Without
        # `step_s`, the shortest of `STEPS_S` that gives at most `TARGET_POINTS` points. Answers 422 for an empty range
        # or too many points. A docstring here would appear in the API description.
        newest = store.newest() or datetime.now(UTC)
        end = until or newest + timedelta(milliseconds=1)
        start = since
        if start is None and last_s is not None:
            start = max(end - timedelta(seconds=last_s), EARLIEST)
        if start is not None and start >= end:
            raise Problem(422, f"query.since: not before until (got {start.isoformat()})")
        if start is None:
            full_trend = store.trend(target, until=end, step_s=STEPS_S[-1])
            start = full_trend.since if full_trend else end
        length_s = max((to_ms(end) - to_ms(start)) // 1_000, 60)
        step = step_s or next((step for step in STEPS_S if length_s / step <= TARGET_POINTS), STEPS_S[-1])
        if length_s / step > MAX_POINTS:
            raise Problem(422, f"query.step_s: more than {MAX_POINTS} points (got {step}). Take a longer step.")
        trend = store.trend(target, since=start, until=end, step_s=step)
        if trend is None:
            raise Problem(404, f"there is no target {target[:200]!r}")
        return trend

    @router.get("/targets/{target:path}/near-misses")
    def near_misses_of_target(
        target: TargetPath,
        limit: Limit = 100,
        since: BoundedTime | None = None,
        until: BoundedTime | None = None,
        min_novelty: Share = 0.0,
        min_relevance: Share = 0.0,
    ) -> list[NearMiss]:
        # The stories that came near an event alert of a target and did not notify, newest first, each with the reason.
        if store.target(target) is None:
            raise Problem(404, f"there is no target {target[:200]!r}")
        return store.near_misses(target, NearMissQuery(since, until, min_novelty, min_relevance, limit))

    @router.get("/targets/{target:path}")
    def target_by_id(target: TargetPath, spark: bool = False) -> TargetRow:
        # The present state of a target; `spark` adds its scores of the last seven days.
        row = store.target(target, spark=spark)
        if row is None:
            raise Problem(404, f"there is no target {target[:200]!r}")
        return row

    @router.get("/stories")
    def stories(
        request: Request,
        response: Response,
        target: TargetFilter = None,
        limit: Limit = 100,
        before: Before = None,
    ) -> list[StoryRow]:
        # The stories of a target or of all targets, newest first. `before` is the cursor of the next page.
        if target is not None and store.target(target) is None:
            raise Problem(404, f"there is no target {target[:200]!r}")
        rows = store.stories(target, limit=limit, before=_cursor(before))
        if rows:
            _link_next(request, response, rows[-1].cursor, len(rows) == limit)
        return rows

    @router.get("/status")
    async def status() -> Status:
        return await board.read()

    return router


def _cursor(before: str | None) -> Cursor | None:
    return Cursor.parse(before) if before else None


def _link_next(request: Request, response: Response, last: Cursor, is_full: bool) -> None:
    """Adds the header with the address of the next page, if this page is full. The next page may be empty."""
    if is_full:
        query = {**dict(request.query_params), "before": str(last)}
        response.headers["Link"] = f'<{request.scope["path"]}?{urlencode(query)}>; rel="next"'
