"""The watchlist routes with an editor on a real bus: changes, refusals and the log."""

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
    bus = await EmbeddedBus.open(tmp_path / "bus", BusSettings(partitions=1))
    try:
        yield bus
    finally:
        await bus.close()


@pytest.fixture
async def client(serving: Any, bus: EmbeddedBus) -> AsyncIterator[aiohttp.ClientSession]:
    """Yields a client of a server whose watchlist has one entry of a file, `filed`, and is edited on the bus."""
    base = Watchlist((WatchedEntity(id="filed", name="Filed Inc"),))
    async with serving(services=AppServices(watchlist=WatchlistEditor(bus, base))) as session:
        yield session


async def send(client: aiohttp.ClientSession, method: str, path: str, status: int, **options: Any) -> Any:
    """Returns the JSON of the answer to a request, which must have the given status."""
    async with client.request(method, path, **options) as response:
        assert response.status == status, await response.text()
        return await response.json(content_type=None)


def entry(**fields: object) -> dict[str, object]:
    return {"by": "ada", "name": "Acme Corp", **fields}


async def test_an_entry_can_be_put_listed_and_deleted(client: aiohttp.ClientSession, bus: EmbeddedBus) -> None:
    """Tickers and ISIN are normalised. A repeated PUT sets nothing. `filed` is an entry of the configured file."""
    body = entry(aliases=["Acme"], tickers=["$acm"], isin="us0378331005", group="makers", comment="new position")
    result = await send(client, "PUT", f"{URL}/acme", 202, json=body)
    assert result == {"set": ["acme"], "removed": [], "first": False, "emptied": False}
    rows = await send(client, "GET", URL, 200)
    assert [(row["id"], row["by"]) for row in rows] == [("acme", "ada"), ("filed", None)]
    assert {key: rows[0][key] for key in ("name", "aliases", "tickers", "isin", "group")} == {
        "name": "Acme Corp",
        "aliases": ["Acme"],
        "tickers": ["ACM"],
        "isin": "US0378331005",
        "group": "makers",
    }
    assert (await send(client, "PUT", f"{URL}/acme", 202, json=body))["set"] == []
    assert (await send(client, "DELETE", f"{URL}/acme", 202, params={"by": "bob"}))["removed"] == ["acme"]
    commands = [Command.model_validate_json(message.value) for message in await bus.read(Topic.COMMANDS, 0, 0, 10)]
    assert [(command.kind, command.target, command.by, command.comment) for command in commands] == [
        ("watchlist_set", "entity:acme", "ada", "new position"),
        ("watchlist_remove", "entity:acme", "bob", ""),
    ]


@pytest.mark.parametrize(
    ("path", "body", "message"),
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
async def test_an_invalid_entry_is_refused_and_its_field_named(
    client: aiohttp.ClientSession, bus: EmbeddedBus, path: str, body: dict[str, object], message: str
) -> None:
    """`path` is the id of the entry in the address. No command is published."""
    problem = await send(client, "PUT", f"{URL}/{path}", 422, json=body)
    assert message in problem["detail"]
    assert (await bus.records())[Topic.COMMANDS] == 0


async def test_a_name_of_another_entry_is_a_409_that_names_both(client: aiohttp.ClientSession) -> None:
    await send(client, "PUT", f"{URL}/acme", 202, json=entry())
    problem = await send(client, "PUT", f"{URL}/other", 409, json=entry(name="ACME"))
    assert "'acme' and 'other' both claim the name 'ACME'" in problem["detail"]


async def test_only_entries_added_by_command_can_be_deleted(client: aiohttp.ClientSession) -> None:
    """`filed` comes from the file. A deletion must name who deletes, in the parameter `by`."""
    for path in ("unknown", "filed"):
        problem = await send(client, "DELETE", f"{URL}/{path}", 404, params={"by": "ada"})
        assert path in problem["detail"]
    assert "query.by" in (await send(client, "DELETE", f"{URL}/acme", 422))["detail"]


async def test_a_process_without_a_bus_answers_503(serving: Any) -> None:
    """Such a process cannot read or edit the list, since the list is the state of a publisher on the bus."""
    async with serving(services=AppServices()) as client:
        for method, path in (("GET", URL), ("DELETE", f"{URL}/acme?by=ada")):
            assert "only reads" in (await send(client, method, path, 503))["detail"]
        assert "only reads" in (await send(client, "PUT", f"{URL}/acme", 503, json=entry()))["detail"]


async def test_changes_need_the_token(serving: Any, bus: EmbeddedBus) -> None:
    """The requests have no token: the answers are 401, also for reads, and no command is published."""
    services = AppServices(watchlist=WatchlistEditor(bus, Watchlist()))
    async with serving(services=services, token="secret-of-this-test") as client:
        await send(client, "PUT", f"{URL}/acme", 401, json=entry())
        await send(client, "DELETE", f"{URL}/acme", 401, params={"by": "ada"})
        await send(client, "GET", URL, 401)
    assert (await bus.records())[Topic.COMMANDS] == 0


async def test_requests_to_the_bus_have_a_timeout(
    serving: Any, bus: EmbeddedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read of the list never ends, and an edit begins with it."""
    import asyncio

    async def hang(_: str) -> dict[str, bytes]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(bus, "publisher_state", hang)
    async with serving(services=AppServices(watchlist=WatchlistEditor(bus, Watchlist())), timeout_s=0.05) as client:
        assert "web.timeout_s" in (await send(client, "GET", URL, 504))["detail"]
        assert "web.timeout_s" in (await send(client, "PUT", f"{URL}/acme", 504, json=entry()))["detail"]


async def test_the_log_lists_changes_newest_first_in_pages(client: aiohttp.ClientSession, store: Store) -> None:
    """The `Link` header of a page has the address of the next. Commands about alerts are not part of the log."""
    at = datetime(2026, 1, 5, 10, tzinfo=UTC)
    store.write_commands(
        Command(
            kind="watchlist_set",
            target=f"entity:e{number}",
            by="ada",
            at=at + timedelta(hours=number),
            value={"id": f"e{number}"},
        )
        for number in range(5)
    )
    store.write_commands([Command(kind="acknowledge", alert="x", by="ada", at=at)])
    targets: list[str] = []
    path: str | None = f"{URL}/log?limit=2"
    while path:
        async with client.get(path) as response:
            assert response.status == 200
            targets += [row["target"] for row in await response.json()]
            link = response.links.get("next")
            path = str(link["url"].relative()) if link else None
    assert targets == [f"entity:e{number}" for number in (4, 3, 2, 1, 0)]
    assert (await send(client, "GET", f"{URL}/log", 422, params={"before": "yesterday"}))["detail"].startswith("before")
