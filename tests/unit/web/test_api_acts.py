"""Routes that score texts and publish commands: their limits, and errors that name the field."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import aiohttp
import pytest

from riskwire.errors import SchemaError
from riskwire.store import Store
from riskwire.web import AppServices, Readiness, StageState


async def post(client: aiohttp.ClientSession, path: str, body: Any, status: int) -> Any:
    """Posts a body as JSON, and returns the JSON of the answer, which must have the given status."""
    async with client.post(path, json=body) as response:
        assert response.status == status, await response.text()
        return await response.json(content_type=None)


async def test_texts_are_scored_in_order(client: aiohttp.ClientSession) -> None:
    texts = [{"id": number, "text": f"Text {number}", "targets": [{"start": 0, "end": 4}]} for number in range(3)]
    results = await post(client, "/api/v1/analyse", texts, 200)
    assert [result["id"] for result in results] == [0, 1, 2]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([{"id": "a", "text": "x"}, {"id": "b"}], "body.1.text"),
        ([{"id": "a", "text": 7}], "body.0.text"),
        ([{"id": 1, "text": "x"}, {"id": "\ud800", "text": "Apple"}], "body.1.id"),
        ([{"id": 1, "text": "Apple \udc00"}], "body.0.text"),
        (
            [{"id": "a", "text": "short", "targets": [{"start": 0, "end": 2}, {"start": 3, "end": 6}]}],
            "body.0.targets.1",
        ),
        ([{"id": "a", "text": "short", "targets": [{"start": -1, "end": 2}]}], "body.0.targets.0.start"),
        ({"id": "a"}, "body"),
    ],
)
async def test_an_invalid_text_is_refused_and_its_field_named(
    client: aiohttp.ClientSession, body: Any, field: str
) -> None:
    """A target is a span of the text; its end may not be beyond the text, and lone surrogates are no Unicode."""
    problem = await post(client, "/api/v1/analyse", body, 422)
    assert problem["detail"].startswith(f"{field}:")


async def test_spans_count_code_points_not_utf16(client: aiohttp.ClientSession) -> None:
    """The text has nine code points. Each of its two emojis is one code point, and two units of UTF-16."""
    text = "\U0001f4c9\U0001f4c9 Osmark"
    await post(client, "/api/v1/analyse", [{"id": 1, "text": text, "targets": [{"start": 3, "end": 9}]}], 200)
    await post(client, "/api/v1/analyse", [{"id": 1, "text": text, "targets": [{"start": 3, "end": 10}]}], 422)


async def test_too_many_texts_and_too_large_bodies_are_refused(serving: Any) -> None:
    async with serving(max_texts=2, max_body=2_000) as client:
        problem = await post(client, "/api/v1/analyse", [{"id": n, "text": "x"} for n in range(3)], 413)
        assert "web.max_texts is 2" in problem["detail"]
        problem = await post(client, "/api/v1/analyse", [{"id": 1, "text": "x" * 3_000}], 413)
        assert "web.max_body (2000 bytes)" in problem["detail"]


async def test_a_body_without_a_declared_length_is_limited(serving: Any) -> None:
    """The client sends 5,000 bytes in chunks, and the limit is 2,000."""

    async def endless() -> AsyncIterator[bytes]:
        yield b'[{"id": 1, "text": "'
        for _ in range(50):
            yield b"x" * 100

    async with (
        serving(max_body=2_000) as client,
        client.post("/api/v1/analyse", data=endless(), headers={"Content-Type": "application/json"}) as response,
    ):
        assert response.status == 413


async def test_invalid_json_is_refused(client: aiohttp.ClientSession) -> None:
    async with client.post("/api/v1/analyse", data=b"[{", headers={"Content-Type": "application/json"}) as response:
        assert response.status == 422
        assert (await response.json(content_type=None))["detail"].startswith("body")


async def test_an_error_of_the_engine_is_passed_on(serving: Any) -> None:
    """The scoring of the process raises an error about the text."""

    async def refuse(_: Any) -> Any:
        raise SchemaError("text: too long", value="x", where="item 3")

    async with serving(services=AppServices(score=refuse)) as client:
        problem = await post(client, "/api/v1/analyse", [{"id": 1, "text": "x"}], 422)
        assert problem["detail"] == "item 3: text: too long (got 'x')"


async def test_a_process_without_model_or_bus_answers_503(serving: Any, filled: ModuleType) -> None:
    """Without a model no text can be scored, and without a bus no command can be published."""
    async with serving(services=AppServices()) as client:
        assert "no model" in (await post(client, "/api/v1/analyse", [{"id": 1, "text": "x"}], 503))["detail"]
        command = {"kind": "acknowledge", "alert": filled.alert("veldara").id, "by": "ada"}
        assert "only reads" in (await post(client, "/api/v1/commands", command, 503))["detail"]


async def test_scoring_has_a_timeout(serving: Any) -> None:
    """The scoring of the process never ends."""
    import asyncio

    async def hang(_: Any) -> Any:
        await asyncio.Event().wait()

    async with serving(services=AppServices(score=hang), timeout_s=0.05) as client:
        assert "web.timeout_s" in (await post(client, "/api/v1/analyse", [{"id": 1, "text": "x"}], 504))["detail"]


async def test_an_acknowledgement_is_published_and_shown_with_the_alert(
    client: aiohttp.ClientSession, filled: ModuleType, process: Any
) -> None:
    """The fake process writes a published command to the store at once."""
    alert = filled.alert("veldara").id
    await post(client, "/api/v1/commands", {"kind": "acknowledge", "alert": alert, "by": "ada"}, 202)
    async with client.get(f"/api/v1/alerts/{alert}") as response:
        history = await response.json()
    assert [command.kind for command in process.commands] == ["acknowledge"]
    assert (history["handling"], history["handled_by"]) == ("acknowledged", "ada")
    assert history["commands"][0]["by"] == "ada"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "explode"}, "body.kind"),
        ({"kind": "watchlist_set"}, "body.kind"),
        ({"kind": "snooze"}, "until"),
        ({"kind": "comment"}, "comment"),
        ({"by": None}, "body.by"),
        ({"kind": "assign"}, "assignee"),
        ({"kind": "mute"}, "subject"),
        ({"kind": "snooze", "until": "soon"}, "body.until"),
        ({"by": ""}, "body.by"),
        ({"colour": "red"}, "body.colour"),
        ({"kind": "comment", "comment": "\ud800"}, "body.comment"),
        ({"by": "\ud800"}, "body.by"),
        ({"alert": "\ud800"}, "body.alert"),
        ({"\ud800": "red"}, "body: "),
    ],
)
async def test_an_invalid_command_is_refused_and_its_field_named(
    client: aiohttp.ClientSession, filled: ModuleType, process: Any, change: dict[str, str], message: str
) -> None:
    """`change` makes a valid acknowledgement of an alert invalid. Watchlist commands have other routes."""
    command = {"kind": "acknowledge", "alert": filled.alert("veldara").id, "by": "ada"} | change
    problem = await post(client, "/api/v1/commands", command, 422)
    assert message in problem["detail"]
    assert process.commands == []


async def test_a_command_about_an_unknown_alert_is_a_404(client: aiohttp.ClientSession, process: Any) -> None:
    problem = await post(client, "/api/v1/commands", {"kind": "acknowledge", "alert": "unknown", "by": "ada"}, 404)
    assert "unknown" in problem["detail"]
    assert process.commands == []


async def test_an_alert_that_has_ended_cannot_be_acknowledged_and_can_be_a_false_alarm(
    client: aiohttp.ClientSession, store: Store, filled: ModuleType, process: Any
) -> None:
    alert = filled.alert("veldara")
    store.write_alerts([alert.model_copy(update={"status": "resolved", "at": alert.at + timedelta(days=5)})])
    problem = await post(client, "/api/v1/commands", {"kind": "acknowledge", "alert": alert.id, "by": "ada"}, 409)
    assert "this alert ended" in problem["detail"]
    command = {"kind": "false_alarm", "alert": alert.id, "by": "ada", "reason": "not_material"}
    answer = await post(client, "/api/v1/commands", command, 202)
    assert (answer["value"]["reason"], answer["replaced"]) == ("not_material", None)
    assert [command.kind for command in process.commands] == ["false_alarm"]


async def test_a_mute_is_listed_until_it_is_lifted_and_shown_on_the_alerts_that_it_covers(
    client: aiohttp.ClientSession, filled: ModuleType
) -> None:
    alert = filled.alert("veldara")
    mute = {"kind": "mute", "subject": f"target:{alert.target}", "by": "ada", "until": "2150-01-01T00:00:00Z"}
    for command, muted in ((mute, [alert.target]), ({**mute, "kind": "unmute", "until": None}, [])):
        await post(client, "/api/v1/commands", command, 202)
        async with client.get("/api/v1/mutes") as response:
            assert [row["target"] for row in await response.json()] == muted
        async with client.get(f"/api/v1/alerts/{alert.id}") as response:
            assert (await response.json())["muted"] == (mute["subject"] if muted else None)


async def test_readiness_names_the_stage_that_makes_no_progress(client: aiohttp.ClientSession, process: Any) -> None:
    """`/readyz` then answers 503; `/healthz` answers 200 as long as the process is alive."""
    async with client.get("/readyz") as response:
        assert response.status == 200
    process.readiness = Readiness(
        stages=(StageState(name="infer", ok=False, detail="no progress for 40 s"), StageState(name="alert", ok=True))
    )
    async with client.get("/readyz") as response:
        assert response.status == 503
        assert (await response.json())["problems"] == ["stage infer: no progress for 40 s"]
    async with client.get("/healthz") as response:
        assert response.status == 200


async def test_metrics_are_served_without_a_redirect(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics", allow_redirects=False) as response:
        assert response.status == 200
        assert "riskwire_web_streams" in await response.text()
