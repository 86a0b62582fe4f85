"""The route that shows the silences of Alertmanager."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import fictional
from serving import FakeProcess

from riskwire.errors import NotifyError
from riskwire.records import Alert
from riskwire.store import AlertRow, Store
from riskwire.web import SilenceRow

Serving = Callable[..., AbstractAsyncContextManager[aiohttp.ClientSession]]


def silence(alerts: Sequence[Alert]) -> SilenceRow:
    return SilenceRow(
        receiver="am",
        id="s1",
        by="bob",
        comment="maintenance",
        until=datetime(2026, 11, 24, 18, tzinfo=UTC),
        matchers=("alertname=riskwire",),
        alerts=tuple(alert.id for alert in alerts),
        names=tuple(alert.name for alert in alerts),
    )


async def test_without_an_alertmanager_there_are_no_silences(serving: Serving) -> None:
    async with serving() as client, client.get("/api/v1/silences") as answer:
        assert answer.status == 200
        assert await answer.json() == []


async def test_silences_are_compared_with_the_open_alerts(serving: Serving, store: Store, process: FakeProcess) -> None:
    running, ended = fictional.alert(), fictional.alert(id="ended", status="resolved")
    store.write_alerts([running, ended])

    async def silences(alerts: Sequence[AlertRow]) -> list[SilenceRow]:
        return [silence(alerts)]

    services = replace(process.services(), silences=silences)
    async with serving(services=services) as client, client.get("/api/v1/silences") as answer:
        [row] = await answer.json()
    assert row["alerts"] == [running.id]
    assert (row["by"], row["until"]) == ("bob", "2026-11-24T18:00:00Z")


async def test_an_alertmanager_that_does_not_answer_is_named(serving: Serving, process: FakeProcess) -> None:
    async def silences(_: Sequence[AlertRow]) -> list[SilenceRow]:
        raise NotifyError("no answer within 3 s", where="notify.receivers.am (am.example)")

    services = replace(process.services(), silences=silences)
    async with serving(services=services) as client, client.get("/api/v1/silences") as answer:
        assert answer.status == 503
        assert "notify.receivers.am (am.example): no answer within 3 s" in (await answer.json())["detail"]
