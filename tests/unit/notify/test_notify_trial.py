"""`riskwire notify test`, and charts in mail: against a real SMTP server and real HTTP servers."""

from __future__ import annotations

import asyncio
import email
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from riskwire.bus import Message as BusMessage
from riskwire.cli.watch.notify import notify_app
from riskwire.errors import SettingsError
from riskwire.notify import NotifyStage
from riskwire.notify.chart import SPAN, draw_chart
from riskwire.notify.outbox import Delivery
from riskwire.notify.trial import try_receivers
from riskwire.records import Alert
from riskwire.settings import NotifySettings, ReceiverSettings, Settings
from riskwire.store import Trend
from riskwire.store.rows import TrendBucket

MakeAlert = Callable[..., Alert]
StartReceiver = Callable[[], Awaitable[Any]]
PNG = b"\x89PNG\r\n\x1a\n"


class MailServer:
    """An SMTP server that accepts every mail."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speaks SMTP with one client."""
        writer.write(b"220 mail.example\r\n")
        while line := await reader.readline():
            command = line.strip().upper()
            if command == b"DATA":
                writer.write(b"354 go on\r\n")
                raw = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append(email.message_from_bytes(raw))
            writer.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")
            if command == b"QUIT":
                break
        writer.close()


@asynccontextmanager
async def running_mail_server() -> AsyncIterator[MailServer]:
    """Runs an SMTP server on a free port of 127.0.0.1."""
    mail = MailServer()
    server = await asyncio.start_server(mail.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    mail.url = f"mailto://127.0.0.1:{port}?from=riskwire@bank.example&to=desk@bank.example&mode=insecure"
    async with server:
        yield mail


def trend(alert: Alert) -> Trend:
    """Returns a quiet month before an alert, and bad news on its day."""
    days = int(SPAN.days)
    points = [
        TrendBucket(
            start=alert.at - timedelta(days=day),
            stories=3,
            articles=3,
            negative=9.0 if day == 0 else 0.3,
            neutral=2.0,
            positive=0.7,
            score=-0.5,
            surprise=0.0,
        )
        for day in range(days)
    ]
    return Trend(
        target=alert.target, name=alert.name, since=alert.at - SPAN, until=alert.at, step_s=43_200, points=tuple(points)
    )


async def deliver(alert: Alert, receiver: ReceiverSettings, read_trend: Any) -> None:
    """Delivers an alert to a receiver, with the stage's own code."""
    stage = NotifyStage(NotifySettings(receivers={"desk": receiver}, timeout_s=60.0), wall=lambda: alert.at)
    stage.attach(None, read_trend)  # type: ignore[arg-type]
    message = BusMessage("alerts", 0, 0, alert.target, alert.to_bytes())
    async with stage:
        assert await stage.deliver([Delivery(message, "apprise:desk", alert.at.timestamp())]) is None


def test_a_chart_is_a_png_of_the_month_before_the_alert(alert: MakeAlert) -> None:
    """A dollar sign in a name is text, not the beginning of a formula."""
    quiet = trend(alert())
    loud = draw_chart(alert(name="A$AP $\\frac{ Co"), quiet, Settings().zone)
    assert loud.startswith(PNG)
    empty = draw_chart(alert(), quiet.model_copy(update={"points": ()}), Settings().zone)
    assert empty.startswith(PNG)
    assert empty != loud


async def test_mail_has_the_text_and_the_chart_of_the_target(alert: MakeAlert) -> None:
    asked: list[tuple[str, timedelta]] = []

    async def read_trend(target: str, since: datetime, until: datetime, step_s: int) -> Trend:
        asked.append((target, until - since))
        return trend(alert())

    async with running_mail_server() as server:
        await deliver(alert(), ReceiverSettings(apprise=SecretStr(server.url), chart=True), read_trend)
    [mail] = server.mails
    assert mail["Subject"] == "HIGH: Norrland Motors (alert)"
    parts = {part.get_content_type(): part for part in mail.walk()}
    assert parts["image/png"].get_payload(decode=True).startswith(PNG)
    assert parts["image/png"].get_filename() == "chart.png"
    text = next(part for kind, part in parts.items() if kind.startswith("text/")).get_payload(decode=True).decode()
    assert "4 negative stories in 6 h" in text
    assert [target for target, _ in asked] == ["entity:norrland"]
    assert asked[0][1] >= SPAN


async def test_an_alert_whose_chart_cannot_be_drawn_goes_without_it(alert: MakeAlert) -> None:
    async def broken(*_: object) -> Trend:
        raise OSError("the store is away")

    async with running_mail_server() as server:
        await deliver(alert(), ReceiverSettings(apprise=SecretStr(server.url), chart=True), broken)
    [mail] = server.mails
    assert "image/png" not in {part.get_content_type() for part in mail.walk()}


def test_a_chart_for_a_webhook_is_refused() -> None:
    receiver = ReceiverSettings(webhook=SecretStr("https://a.example/hook"), chart=True)
    with pytest.raises(SettingsError, match=r"notify\.receivers\.desk\.chart: only a receiver with `apprise`"):
        NotifyStage(NotifySettings(receivers={"desk": receiver}))


async def test_a_test_message_says_that_nothing_happened_and_each_receiver_gets_one(
    start_receiver: StartReceiver,
) -> None:
    """One receiver fails: the others get theirs, and nothing is repeated."""
    hook, broken, service, manager = [await start_receiver() for _ in range(4)]
    broken.answers = [500, 500]
    receivers = {
        "desk": ReceiverSettings(webhook=SecretStr(hook.url)),
        "broken": ReceiverSettings(webhook=SecretStr(broken.url)),
        "chat": ReceiverSettings(apprise=SecretStr(service.url.replace("http:", "json:")), chart=True),
        "am": ReceiverSettings(alertmanager=SecretStr(manager.url)),
    }
    settings = Settings(notify=NotifySettings(receivers=receivers, timeout_s=60.0))
    results = {result.label.partition(" ")[0]: result.error for result in await try_receivers(settings, None)}
    assert [name for name, error in results.items() if error is not None] == ["notify.receivers.broken"]
    [(_, body)] = hook.requests
    record = Alert.model_validate_json(body)
    assert (record.target, record.tier) == ("test:riskwire", "notice")
    assert "Nothing has happened" in record.summary
    [(_, body)] = service.requests
    assert len(orjson.loads(body)["attachments"]) == 1
    [(_, body)] = manager.requests
    [row] = orjson.loads(body)
    assert row["labels"] == {"alertname": "riskwire-test"}
    assert datetime.fromisoformat(row["endsAt"]) < datetime.now(UTC) + timedelta(minutes=2)
    assert len(broken.requests) == 1


async def test_one_receiver_can_be_tried_by_its_name_or_its_setting(start_receiver: StartReceiver) -> None:
    desk, unnamed = await start_receiver(), await start_receiver()
    notify = NotifySettings(
        receivers={"desk": ReceiverSettings(webhook=SecretStr(desk.url))}, webhooks=(SecretStr(unnamed.url),)
    )
    await try_receivers(Settings(notify=notify), "desk")
    assert (len(desk.requests), len(unnamed.requests)) == (1, 0)
    await try_receivers(Settings(notify=notify), "notify.webhooks[0]")
    assert (len(desk.requests), len(unnamed.requests)) == (1, 1)
    with pytest.raises(SettingsError, match=r"no such receiver.*'dsk'.*notify\.webhooks\[0\], desk"):
        await try_receivers(Settings(notify=notify), "dsk")


async def test_without_receivers_the_test_says_so() -> None:
    with pytest.raises(SettingsError, match=r"there is no receiver.*Set notify\.receivers"):
        await try_receivers(Settings(), None)


async def test_the_command_fails_if_a_receiver_does_and_shows_no_url(
    start_receiver: StartReceiver, tmp_path: Path
) -> None:
    hook = await start_receiver()
    hook.answers = [503]
    file = tmp_path / "riskwire.yaml"
    file.write_text(f"notify: {{receivers: {{desk: {{webhook: '{hook.url}?token=s3cret'}}}}}}\n")
    failed = await asyncio.to_thread(CliRunner().invoke, notify_app, ["test", "--config", str(file)])
    assert failed.exit_code == 1
    assert "notify.receivers.desk (127.0.0.1" in failed.output
    assert "answered 503" in failed.output
    assert "s3cret" not in failed.output
    passed = await asyncio.to_thread(CliRunner().invoke, notify_app, ["test", "desk", "--config", str(file)])
    assert passed.exit_code == 0
    assert "delivered" in passed.output
