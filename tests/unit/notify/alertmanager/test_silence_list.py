"""The silences of Alertmanager as the page shows them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from riskwire.app.silences import ShownSilences
from riskwire.errors import NotifyError
from riskwire.notify import SilenceList
from riskwire.notify.alertmanager.silence_list import SilenceMatcher
from riskwire.records import Alert
from riskwire.settings import NotifySettings, ReceiverSettings

MakeAlert = Callable[..., Alert]
StartReceiver = Callable[[], Awaitable[Any]]
LABELS = {"alertname": "riskwire", "target": "entity:a", "tier": "page"}


def row(*matchers: tuple[str, str], state: str = "active", **changes: Any) -> dict[str, Any]:
    """Returns a silence as the API lists it."""
    conditions = [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in matchers]
    return {
        "id": "s1",
        "createdBy": "bob",
        "comment": "maintenance",
        "endsAt": "2026-11-24T18:00:00.000Z",
        "matchers": conditions,
        "status": {"state": state},
    } | changes


def list_of(server: Any) -> SilenceList:
    url = SecretStr(server.url.removesuffix("/hook"))
    return SilenceList(NotifySettings(receivers={"am": ReceiverSettings(alertmanager=url)}))


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        (SilenceMatcher("target", "entity:a", False, True), True),
        (SilenceMatcher("target", "entity", False, True), False),
        (SilenceMatcher("target", "entity:.*", True, True), True),
        (SilenceMatcher("target", "entity", True, True), False),
        (SilenceMatcher("tier", "notice", False, False), True),
        (SilenceMatcher("tier", "page|notice", True, False), False),
        (SilenceMatcher("group", "", False, True), True),
        (SilenceMatcher("target", "(?<broken", True, True), False),
    ],
)
def test_a_matcher_reads_labels_as_alertmanager_does(matcher: SilenceMatcher, expected: bool) -> None:
    """A regular expression must match the whole value, and a missing label is an empty one."""
    assert matcher.matches(LABELS) is expected


async def test_the_page_shows_silences_in_force_with_the_open_alerts_that_they_cover(
    start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """A silence for alerts of others, such as those on the pipeline, is left out."""
    server = await start_receiver()
    rows = [
        row(("target", "entity:a"), ("alertname", "riskwire")),
        row(("alertname", "riskwire"), ("target", "entity:unknown"), id="s2", endsAt="2026-11-24T12:00:00Z"),
        row(("target", "entity:a"), id="over", state="expired"),
        row(("alertname", "RiskwireStageStuck"), id="pipeline"),
    ]
    server.body = orjson.dumps(rows)
    silences = list_of(server)
    alerts = [alert(id="1", target="entity:a", name="Alfa"), alert(id="2", target="entity:b")]
    shown = await ShownSilences(silences).rows(alerts)
    await ShownSilences(silences).rows(alerts)
    await silences.close()
    assert [(silence.id, silence.alerts, silence.names) for silence in shown] == [
        ("s2", (), ()),
        ("s1", ("1",), ("Alfa",)),
    ]
    assert shown[1].until == datetime(2026, 11, 24, 18, tzinfo=UTC)
    assert (shown[1].by, shown[1].comment) == ("bob", "maintenance")
    assert shown[1].matchers == ("target=entity:a", "alertname=riskwire")
    assert len(server.requests) == 1, "many readers of the page are one request"


@pytest.mark.parametrize("body", [b"[{}]", b"{}", b"<html>"])
async def test_an_answer_that_is_no_list_of_silences_is_an_error(start_receiver: StartReceiver, body: bytes) -> None:
    server = await start_receiver()
    server.body = body
    silences = list_of(server)
    with pytest.raises(NotifyError, match=r"notify\.receivers\.am"):
        await silences.read()
    await silences.close()


async def test_an_alertmanager_that_does_not_answer_is_an_error(start_receiver: StartReceiver) -> None:
    server = await start_receiver()
    server.answers = [503]
    silences = list_of(server)
    with pytest.raises(NotifyError, match="answered 503"):
        await silences.read()
    await silences.close()
