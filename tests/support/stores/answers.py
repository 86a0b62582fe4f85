"""All answers of the API about the content of a store, for comparing two stores byte for byte."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import aiohttp
from serving import FakeProcess, running_server

from riskwire.settings import Settings, WebSettings
from riskwire.store import Store

_ORDERS = ("alerts", "surprise", "score", "stories", "name", "last_seen")
_OTHER_ROUTES = {"/api/v1/stream", "/api/v1/watchlist", "/api/v1/me", "/api/v1/silences"}
"""Routes that answer about the process, not about the store."""
_PAGE = 7
_MAX_PAGES = 6
Get = Callable[[str], Awaitable[str]]


async def api_answers(store: Store, *, max_targets: int = 60) -> dict[str, str]:
    """Returns the answer to each request, by path, as text; of lists with their next pages.

    Args:
        max_targets: of how many targets trends and stories are requested.

    Raises:
        AssertionError: the API has a route that answers about the store and that this function does not know.
    """
    settings = Settings(web=WebSettings(port=0))
    services = FakeProcess(store).services()
    answers: dict[str, str] = {}
    async with (
        running_server(settings, store, services) as url,
        aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=120)) as client,
    ):

        async def get(path: str) -> str:
            """Requests a path and its next pages, keeps all answers, and returns the first."""
            following: str | None = path
            for _ in range(_MAX_PAGES):
                if following is None:
                    break
                async with client.get(following) as response:
                    text = re.sub(r'"uptime_s":\d+', '"uptime_s":0', await response.text())
                    assert response.status in (200, 404), f"{following}: {text}"
                    answers[following] = f"{response.status} {response.headers.get('Link', '')}\n{text}"
                    link = response.links.get("next")
                    following = str(link["url"].relative()) if link else None
            return answers[path].partition("\n")[2]

        await _check_routes(get)
        answers.clear()
        await _read_lists(get)
        targets = [row["target"] for row in json.loads(await get("/api/v1/targets?limit=500"))]
        for target in targets[:max_targets]:
            await _read_target(get, quote(target, safe=""))
        for alert in json.loads(await get("/api/v1/alerts?limit=500")):
            await get(f"/api/v1/alerts/{alert['id']}")
            await asyncio.sleep(0)
    return answers


async def _check_routes(get: Get) -> None:
    """Checks that every route of the API that reads the store is requested here."""
    paths = json.loads(await get("/api/v1/openapi.json"))["paths"]
    reads = {path for path, methods in paths.items() if "get" in methods} - _OTHER_ROUTES
    known = {
        "/api/v1/alerts",
        "/api/v1/alerts/{alert}",
        "/api/v1/decisions",
        "/api/v1/mutes",
        "/api/v1/status",
        "/api/v1/stories",
        "/api/v1/targets",
        "/api/v1/targets/{target}",
        "/api/v1/targets/{target}/near-misses",
        "/api/v1/targets/{target}/trend",
        "/api/v1/watchlist/log",
    }
    assert reads <= known, f"request these routes here too: {sorted(reads - known)}"


async def _read_lists(get: Get) -> None:
    for order in _ORDERS:
        await get(f"/api/v1/targets?limit=500&order={order}&spark=true")
        await get(f"/api/v1/targets?limit={_PAGE}&offset={_PAGE}&order={order}")
    for kind in ("entity", "topic", "group", "market"):
        await get(f"/api/v1/targets?kind={kind}")
    for query in ("a", "CO", "ä", "%", "_", "Corp"):
        await get(f"/api/v1/targets?query={quote(query)}")
    for status in ("open", "firing", "escalated", "resolved"):
        await get(f"/api/v1/alerts?status={status}")
    await get(f"/api/v1/alerts?limit={_PAGE}")
    await get(f"/api/v1/stories?limit={_PAGE}")
    await get("/api/v1/stories?limit=500")
    await get(f"/api/v1/watchlist/log?limit={_PAGE}")
    await get(f"/api/v1/decisions?limit={_PAGE}")
    await get("/api/v1/mutes")
    await get("/api/v1/status")


async def _read_target(get: Get, target: str) -> None:
    await get(f"/api/v1/targets/{target}?spark=true")
    for query in ("", "?last_s=86400", "?step_s=86400", "?last_s=86400&step_s=900"):
        await get(f"/api/v1/targets/{target}/trend{query}")
    await get(f"/api/v1/targets/{target}/near-misses")
    await get(f"/api/v1/stories?target={target}&limit={_PAGE}")
    await get(f"/api/v1/alerts?target={target}")
