"""Routes that read: their rows and pages, and errors that name what is missing or invalid."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType
from typing import Any

import aiohttp
import pytest

from riskwire.records import Alert
from riskwire.store import Store


async def get(client: aiohttp.ClientSession, path: str, expect: int = 200, **query: Any) -> Any:
    """Returns the JSON of a GET request, which must have the status `expect`. `query` are its parameters."""
    async with client.get(path, params={key: str(value) for key, value in query.items()}) as response:
        assert response.status == expect, await response.text()
        return await response.json(content_type=None)


def _span(evidence: dict[str, Any]) -> str:
    return str(evidence["text"][evidence["start"] : evidence["end"]])


async def test_alerts_are_listed_newest_first(client: aiohttp.ClientSession, filled: ModuleType) -> None:
    """The fictional news has three alerts; each is listed with the status of its newest record."""
    rows = await get(client, "/api/v1/alerts")
    assert [(row["name"], row["status"]) for row in rows] == [
        ("Veldara Chemicals", "escalated"),
        ("Osmark Bank", "firing"),
        ("Tirell Motors", "resolved"),
    ]
    assert Alert.model_validate(rows[0]).evidence
    assert rows[0]["at"].endswith("Z")
    assert [row["name"] for row in await get(client, "/api/v1/alerts", status="open", target="entity:osmark")] == [
        "Osmark Bank"
    ]


async def test_an_alert_has_its_records_and_evidence(client: aiohttp.ClientSession, filled: ModuleType) -> None:
    """The span of the evidence is the name of the target."""
    history = await get(client, f"/api/v1/alerts/{filled.alert('veldara').id}")
    assert [record["status"] for record in history["records"]] == ["firing", "escalated"]
    assert _span(history["evidence"][0]) == history["name"]


async def test_near_misses_of_a_target_have_their_reasons_and_can_be_filtered(
    client: aiohttp.ClientSession, filled: ModuleType, store: Store
) -> None:
    """The newest comes first. Novelty falls and relevance rises with the number of a story."""
    store.write_near_misses([filled.near_miss(number, filled.NOON + timedelta(hours=number)) for number in range(4)])
    path = f"/api/v1/targets/{filled.VELDARA}/near-misses"
    rows = await get(client, path)
    assert [row["article"] for row in rows] == ["near-3", "near-2", "near-1", "near-0"]
    assert {row["reason"] for row in rows} == {"threshold"}
    assert rows[0]["detail"] == "It is material with 0.41; 0.55 fires."
    filtered_rows = await get(client, path, min_novelty=0.8, min_relevance=0.6)
    assert [row["article"] for row in filtered_rows] == ["near-2", "near-1"]
    until = (filled.NOON + timedelta(hours=1)).isoformat()
    assert [row["article"] for row in await get(client, path, until=until)] == ["near-0"]
    assert [row["article"] for row in await get(client, path, limit=1)] == ["near-3"]
    assert await get(client, "/api/v1/targets/entity:osmark/near-misses") == []
    await get(client, "/api/v1/targets/entity:nobody/near-misses", expect=404)
    await get(client, path, expect=422, min_novelty=2)


async def test_alerts_can_be_ordered_by_exposure_and_severity(
    client: aiohttp.ClientSession, store: Store, news: ModuleType
) -> None:
    """The next links lead through them in that order. A cursor of the other order is refused."""
    weights = {"a": 3.0, "b": 12.0, "c": 0.5, "d": 3.0}
    store.write_alerts(news.alert(name, weight=weight) for name, weight in weights.items())
    path: str | None = "/api/v1/alerts?status=open&order=priority&limit=1"
    alert_weights: list[float] = []
    while path is not None:
        async with client.get(path) as response:
            alert_weights += [row["weight"] for row in await response.json()]
            link = response.links.get("next")
            path = str(link["url"].relative()) if link else None
    assert alert_weights == [12.0, 3.0, 3.0, 0.5]
    await get(client, "/api/v1/alerts", expect=422, order="priority", before="2026-03-02T12:00:00Z")
    await get(client, "/api/v1/alerts", expect=422, order="loudest")


async def test_the_next_links_lead_through_every_row(
    client: aiohttp.ClientSession, filled: ModuleType, store: Store
) -> None:
    """A page has seven rows, and a `Link` header with the address of the next page unless it is the last."""
    path: str | None = "/api/v1/stories?target=market&limit=7"
    fingerprints = []
    while path is not None:
        async with client.get(path) as response:
            fingerprints += [row["story"] for row in await response.json()]
            link = response.links.get("next")
            path = str(link["url"].relative()) if link else None
    row = store.target("market")
    assert row is not None
    assert len(fingerprints) == len(set(fingerprints)) == row.stories


async def test_stories_have_level_adverse_and_events(client: aiohttp.ClientSession, filled: ModuleType) -> None:
    for query in ({"target": filled.VELDARA}, {}):
        rows = await get(client, "/api/v1/stories", **query)
        crisis = next(row for row in rows if row["title"].startswith("Veldara"))
        assert set(crisis["level"]) == {"neutral", "mild", "material", "favourable"}
        assert crisis["adverse"] == pytest.approx(crisis["level"]["mild"] + crisis["level"]["material"])
        assert [event["label"] for event in crisis["events"]] == ["accident", "investigation"]


async def test_a_target_with_slashes_colons_and_spaces_can_be_read(
    client: aiohttp.ClientSession, store: Store, news: ModuleType
) -> None:
    target = "topic:Legal | Regulation/Antitrust 100%"
    store.write_signals([news.signal("a", target=target)])
    store.write_trends([news.trend(target=target)])

    from urllib.parse import quote

    import yarl

    path = yarl.URL("/api/v1/targets/" + quote(target, safe=""), encoded=True)
    async with client.get(path) as response:
        assert (await response.json())["target"] == target
    async with client.get(yarl.URL(f"{path}/trend", encoded=True)) as response:
        assert len((await response.json())["points"]) == 1


async def test_a_trend_ends_at_the_newest_data(client: aiohttp.ClientSession, filled: ModuleType) -> None:
    """The newest data is of noon on 2 March. `last_s` is the length of the trend; without it, the trend is longer."""
    trend = await get(client, "/api/v1/targets/market/trend", last_s=86_400)
    assert trend["until"].startswith("2026-03-02T12:00:00")
    assert trend["since"].startswith("2026-03-01T12:00:00")
    assert 0 < len(trend["points"]) <= 200
    assert trend["points"][-1]["start"] >= "2026-03-02T09"
    full_trend = await get(client, "/api/v1/targets/market/trend")
    assert full_trend["points"][0]["start"] < trend["points"][0]["start"]


async def test_targets_can_be_searched_ordered_and_have_sparklines(
    client: aiohttp.ClientSession, filled: ModuleType
) -> None:
    """The target of the worst alert comes first. A sparkline has 28 scores."""
    rows = await get(client, "/api/v1/targets", kind="entity", spark="true", limit=3)
    assert [row["kind"] for row in rows] == ["entity"] * 3
    assert rows[0]["target"] == filled.VELDARA
    assert len(rows[0]["spark"]) == 28
    assert [row["target"] for row in await get(client, "/api/v1/targets", query="osmark")] == ["entity:osmark"]


async def test_status_has_topics_lag_bundle_version_and_blind_targets(
    client: aiohttp.ClientSession, filled: ModuleType
) -> None:
    """The records by topic, the lag by group and the bundle are those of the fake process."""
    status = await get(client, "/api/v1/status")
    assert status["topics"] == {"articles": 12}
    assert status["lag"] == {"infer": 3}
    assert status["bundle"] == "fictional@1"
    assert status["newest"].startswith("2026-03-02T")
    assert status["blind"] == 0
    assert status["counts"]["open_alerts"] == 2
    assert status["version"]
    assert status["uptime_s"] >= 0


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/api/v1/alerts/unknown", "unknown"),
        ("/api/v1/targets/entity:unknown", "entity:unknown"),
        ("/api/v1/targets/entity:unknown/trend", "entity:unknown"),
        ("/api/v1/stories?target=entity:unknown", "entity:unknown"),
        ("/api/v1/nothing", "/api/v1/nothing"),
    ],
)
async def test_something_unknown_is_a_404_that_names_it(client: aiohttp.ClientSession, path: str, text: str) -> None:
    problem = await get(client, path, expect=404)
    assert text in problem["detail"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/api/v1/alerts?limit=0", "query.limit"),
        ("/api/v1/alerts?status=angry", "query.status"),
        ("/api/v1/alerts?before=yesterday", "before"),
        ("/api/v1/targets?kind=comet", "query.kind"),
        ("/api/v1/targets/market/trend?since=soon", "query.since"),
        ("/api/v1/targets/market/trend?step_s=1&last_s=9999999", "query.step_s"),
        ("/api/v1/targets/market/trend?since=9999-01-01T00:00:00Z", "query.since"),
    ],
)
async def test_an_invalid_parameter_is_a_422_that_names_it(
    client: aiohttp.ClientSession, filled: ModuleType, path: str, text: str
) -> None:
    problem = await get(client, path, expect=422)
    assert problem["detail"].startswith(text)
    assert problem["status"] == 422
