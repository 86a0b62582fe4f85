"""The watchlist over the API: the same editor on a real bus, every fault told by its kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.pipeline import Topic
from riskwire.records import Command
from riskwire.settings import BusSettings
from riskwire.store import Store
from riskwire.watching import WatchlistEditor
from riskwire.web import AppServices

URL = "/api/v1/watchlist"


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[EmbeddedBus]:
    opened = await EmbeddedBus.open(tmp_path / "bus", BusSettings(partitions=1))
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def client(serving: Any, bus: EmbeddedBus) -> AsyncIterator[aiohttp.ClientSession]:
    base = Watchlist((WatchedEntity(id="filed", name="Filed Inc"),))
    async with serving(services=AppServices(watchlist=WatchlistEditor(bus, base))) as session:
        yield session


async def ask(client: aiohttp.ClientSession, method: str, path: str, status: int, **request: Any) -> Any:
    async with client.request(method, path, **request) as response:
        assert response.status == status, await response.text()
        return await response.json(content_type=None)


def entry(**fields: object) -> dict[str, object]:
    return {"by": "ada", "name": "Acme Corp", **fields}


async def test_an_entry_is_put_shown_with_who_put_it_and_deleted(
    client: aiohttp.ClientSession, bus: EmbeddedBus
) -> None:
    body = entry(aliases=["Acme"], tickers=["$acm"], isin="us0378331005", group="makers", comment="new position")
    done = await ask(client, "PUT", f"{URL}/acme", 202, json=body)
    assert done == {"set": ["acme"], "removed": [], "first": False, "emptied": False}
    shown = await ask(client, "GET", URL, 200)
    assert [(row["id"], row["by"]) for row in shown] == [("acme", "ada"), ("filed", None)]
    assert {key: shown[0][key] for key in ("name", "aliases", "tickers", "isin", "group")} == {
        "name": "Acme Corp",
        "aliases": ["Acme"],
        "tickers": ["ACM"],
        "isin": "US0378331005",
        "group": "makers",
    }
    assert (await ask(client, "PUT", f"{URL}/acme", 202, json=body))["set"] == []
    assert (await ask(client, "DELETE", f"{URL}/acme", 202, params={"by": "bob"}))["removed"] == ["acme"]
    commands = [Command.model_validate_json(one.value) for one in await bus.read(Topic.COMMANDS, 0, 0, 10)]
    assert [(one.kind, one.target, one.by, one.comment) for one in commands] == [
        ("watchlist_set", "entity:acme", "ada", "new position"),
        ("watchlist_remove", "entity:acme", "bob", ""),
    ]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("acme", {"name": "Acme"}, "body.by"),
        ("acme", entry(by=""), "body.by"),
        ("acme", entry(by="\ud800"), "body.by"),
        ("acme", entry(by="   "), "body.by"),
        ("acme", entry(comment="\ud800"), "body.comment"),
        ("acme", {"by": "ada"}, "body.name"),
        ("acme", entry(name="..."), "no letter or digit"),
        ("acme", entry(name="\ud800"), "name"),
        ("acme", entry(isin="US0378331006"), "isin"),
        ("acme", entry(tickers="ACM"), "body.tickers"),
        ("acme", entry(colour="red"), "body.colour"),
        ("acme", entry(id="other"), "body.id"),
        ("-acme", entry(), "id"),
        ("a" * 101, entry(), "path.entry"),
    ],
)
async def test_an_entry_that_is_none_is_refused_by_name(
    client: aiohttp.ClientSession, bus: EmbeddedBus, path: str, body: dict[str, object], says: str
) -> None:
    problem = await ask(client, "PUT", f"{URL}/{path}", 422, json=body)
    assert says in problem["detail"]
    assert (await bus.records())[Topic.COMMANDS] == 0


async def test_a_clash_is_a_409_that_says_with_whom(client: aiohttp.ClientSession) -> None:
    await ask(client, "PUT", f"{URL}/acme", 202, json=entry())
    problem = await ask(client, "PUT", f"{URL}/other", 409, json=entry(name="ACME"))
    assert "'acme' and 'other' both claim the name 'ACME'" in problem["detail"]


async def test_what_was_not_put_there_by_command_cannot_be_deleted(client: aiohttp.ClientSession) -> None:
    for path in ("nobody", "filed"):
        problem = await ask(client, "DELETE", f"{URL}/{path}", 404, params={"by": "ada"})
        assert path in problem["detail"]
    assert "query.by" in (await ask(client, "DELETE", f"{URL}/acme", 422))["detail"]


async def test_a_process_without_a_bus_says_so(serving: Any) -> None:
    async with serving(services=AppServices()) as client:
        for method, path in (("GET", URL), ("DELETE", f"{URL}/acme?by=ada")):
            assert "only reads" in (await ask(client, method, path, 503))["detail"]
        assert "only reads" in (await ask(client, "PUT", f"{URL}/acme", 503, json=entry()))["detail"]


async def test_who_has_no_token_changes_nothing(serving: Any, bus: EmbeddedBus) -> None:
    services = AppServices(watchlist=WatchlistEditor(bus, Watchlist()))
    async with serving(services=services, token="secret") as client:
        await ask(client, "PUT", f"{URL}/acme", 401, json=entry())
        await ask(client, "DELETE", f"{URL}/acme", 401, params={"by": "ada"})
        await ask(client, "GET", URL, 401)
    assert (await bus.records())[Topic.COMMANDS] == 0


async def test_a_bus_that_does_not_answer_meets_a_deadline(
    serving: Any, bus: EmbeddedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    async def never(_: str) -> dict[str, bytes]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(bus, "publisher_state", never)
    async with serving(services=AppServices(watchlist=WatchlistEditor(bus, Watchlist())), timeout_s=0.05) as client:
        assert "web.timeout_s" in (await ask(client, "GET", URL, 504))["detail"]
        assert "web.timeout_s" in (await ask(client, "PUT", f"{URL}/acme", 504, json=entry()))["detail"]


async def test_the_log_tells_who_did_what_newest_first_and_page_by_page(
    client: aiohttp.ClientSession, store: Store
) -> None:
    at = datetime(2026, 1, 5, 10, tzinfo=UTC)
    store.write_commands(
        Command(
            kind="watchlist_set", target=f"entity:e{n}", by="ada", at=at + timedelta(hours=n), value={"id": f"e{n}"}
        )
        for n in range(5)
    )
    store.write_commands([Command(kind="acknowledge", alert="x", by="ada", at=at)])
    seen: list[str] = []
    path: str | None = f"{URL}/log?limit=2"
    while path:
        async with client.get(path) as response:
            assert response.status == 200
            seen += [row["target"] for row in await response.json()]
            following = response.links.get("next")
            path = str(following["url"].relative()) if following else None
    assert seen == [f"entity:e{n}" for n in (4, 3, 2, 1, 0)]
    assert (await ask(client, "GET", f"{URL}/log", 422, params={"before": "yesterday"}))["detail"].startswith("before")
