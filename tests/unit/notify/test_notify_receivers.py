"""Receivers make single attempts against real local servers; URLs that cannot be used are refused at start."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable

import orjson
import pytest
from pydantic import SecretStr

from riskwire.errors import SettingsError
from riskwire.notify import NotifyStage
from riskwire.notify.notification import PreparedNotification, notification_of
from riskwire.notify.receivers import Place, receiver_warnings
from riskwire.notify.receivers.http import MAX_ANSWER
from riskwire.notify.receivers.service import AppriseReceiver
from riskwire.notify.receivers.webhook import WebhookReceiver
from riskwire.notify.retry import AttemptError
from riskwire.records import Alert
from riskwire.settings import NotifySettings, ReceiverSettings

MakeAlert = Callable[..., Alert]
StartReceiver = Callable[[], Awaitable]  # type: ignore[type-arg]


def webhook(url: str, secret: str | None = None, timeout_s: float = 5.0) -> WebhookReceiver:
    return WebhookReceiver(Place("notify.webhooks[0]"), url=url, secret=secret, timeout_s=timeout_s, concurrency=2)


def told(alert: Alert) -> PreparedNotification:
    return notification_of([alert], alert.to_bytes())


async def attempt_error(receiver: WebhookReceiver | AppriseReceiver, alert: Alert) -> AttemptError:
    """Returns the error of an attempt to deliver that must fail, and closes the receiver."""
    with pytest.raises(AttemptError) as caught:
        await receiver.attempt(told(alert))
    await receiver.close()
    return caught.value


async def test_a_webhook_gets_the_unchanged_record_with_a_valid_signature(
    start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    server = await start_receiver()
    receiver = webhook(server.url, "topsecret")
    record = alert().to_bytes()
    await receiver.attempt(told(alert()))
    await receiver.close()
    [(headers, body)] = server.requests
    assert body == record
    assert headers["Content-Type"] == "application/json"
    assert abs(int(headers["X-Riskwire-Timestamp"]) - time.time()) < 60
    expected = hmac.new(b"topsecret", headers["X-Riskwire-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["X-Riskwire-Signature"] == "sha256=" + expected.hexdigest()
    assert headers["Idempotency-Key"]


async def test_a_webhook_without_a_secret_is_not_signed(start_receiver: StartReceiver, alert: MakeAlert) -> None:
    server = await start_receiver()
    receiver = webhook(server.url)
    await receiver.attempt(told(alert()))
    await receiver.close()
    [(headers, _)] = server.requests
    assert not [name for name in headers if name.startswith("X-Riskwire")]


async def test_a_redirect_is_not_followed(start_receiver: StartReceiver, alert: MakeAlert) -> None:
    """The error is final: the delivery is not attempted again."""
    redirect_target, server = await start_receiver(), await start_receiver()
    server.answers, server.headers = [307], {"Location": redirect_target.url}
    error = await attempt_error(webhook(server.url), alert())
    assert error.final
    assert redirect_target.requests == []


async def test_an_attempt_ends_at_its_timeout_when_the_receiver_hangs(
    start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """The error is not final: the delivery may be attempted again."""
    server = await start_receiver()
    server.hang = True
    error = await attempt_error(webhook(server.url, timeout_s=0.2), alert())
    assert not error.final
    assert "0.2 s" in str(error)


async def test_the_answer_is_read_up_to_a_limit(start_receiver: StartReceiver, alert: MakeAlert) -> None:
    """The body of the answer has twenty times the bytes that are read, and the message quotes only its beginning."""
    server = await start_receiver()
    server.answers, server.body = [500], b"z" * (MAX_ANSWER * 20)
    error = await attempt_error(webhook(server.url), alert())
    assert not error.final
    assert len(str(error)) < 400


async def test_a_refused_connection_is_retried(alert: MakeAlert) -> None:
    error = await attempt_error(webhook("http://127.0.0.1:1/hook"), alert())
    assert not error.final


async def test_an_apprise_receiver_gets_title_and_body(start_receiver: StartReceiver, alert: MakeAlert) -> None:
    """Apprise posts JSON with title and message to a URL of the scheme `json`."""
    server = await start_receiver()
    receiver = AppriseReceiver(Place("notify.apprise[0]"), url=server.url.replace("http://", "json://"), timeout_s=5.0)
    await receiver.attempt(told(alert()))
    await receiver.close()
    [(_, body)] = server.requests
    notification = orjson.loads(body)
    assert notification["title"] == "HIGH: Norrland Motors (alert)"
    assert "https://wire.example/1" in notification["message"]


async def test_an_apprise_receiver_that_fails_or_hangs_is_retried(
    start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """An error that is not final is one that is retried. `rto=1` ends the read of Apprise's thread after 1 s."""
    server = await start_receiver()
    server.answers = [500]
    url = server.url.replace("http://", "json://")
    failing = AppriseReceiver(Place("notify.apprise[0]"), url=url, timeout_s=5.0)
    assert not (await attempt_error(failing, alert())).final
    server.hang = True
    hanging = AppriseReceiver(Place("notify.apprise[0]"), url=f"{url}?rto=1", timeout_s=0.2)
    assert not (await attempt_error(hanging, alert())).final


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("webhooks", "ftp://host/s3cret"),
        ("webhooks", "file:///etc/s3cret"),
        ("webhooks", "s3cret"),
        ("webhooks", "http://"),
        ("webhooks", "https://host:s3cret/"),
        ("webhooks", "https://host/\ns3cret"),
        ("webhooks", "http://[::s3cret/"),
        ("apprise", "nonsense://s3cret"),
        ("apprise", "slack://s3cret"),
        ("apprise", ""),
    ],
)
def test_an_invalid_url_is_refused_at_start_and_not_shown(setting: str, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        NotifyStage(NotifySettings(**{setting: (url,)}))  # type: ignore[arg-type]
    assert f"notify.{setting}[0]" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_duplicate_receiver_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"notify\.webhooks\[1\].*the same URL as notify\.webhooks\[0\]"):
        NotifyStage(NotifySettings(webhooks=(SecretStr("https://a.example/1"), SecretStr("https://a.example/1"))))


def test_an_empty_webhook_secret_is_refused() -> None:
    with pytest.raises(SettingsError, match="webhook_secret"):
        NotifyStage(NotifySettings(webhook_secret=SecretStr("")))


def test_labels_and_names_do_not_reveal_secrets_of_a_url() -> None:
    stage = NotifyStage(NotifySettings(webhooks=(SecretStr("https://user:s3cret@a.example/s3cret?k=s3cret"),)))
    [receiver] = stage.receivers.values()
    assert "s3cret" not in receiver.label + receiver.name
    assert "a.example" in receiver.label


def test_a_named_receiver_has_one_url() -> None:
    both = ReceiverSettings(webhook=SecretStr("https://a.example/s3cret"), apprise=SecretStr("json://s3cret"))
    for receiver in (both, ReceiverSettings()):
        with pytest.raises(SettingsError, match=r"notify\.receivers\.desk: a receiver needs one of") as caught:
            NotifyStage(NotifySettings(receivers={"desk": receiver}))
        assert "s3cret" not in str(caught.value)


def test_a_named_receiver_keeps_its_pending_deliveries_when_its_url_changes() -> None:
    """Pending deliveries are kept under the name of the receiver."""
    names = [
        NotifyStage(NotifySettings(receivers={"desk": ReceiverSettings(webhook=SecretStr(url))})).receivers.keys()
        for url in ("https://a.example/1", "https://b.example/2")
    ]
    assert names[0] == names[1] == {"webhook:desk"}


def test_plain_http_and_unsigned_webhooks_are_warned_of_without_showing_the_url() -> None:
    settings = NotifySettings(
        webhooks=(SecretStr("http://a.example/s3cret"), SecretStr("http://127.0.0.1:9/s3cret")),
        receivers={
            "desk": ReceiverSettings(webhook=SecretStr("https://b.example/s3cret")),
            "am": ReceiverSettings(alertmanager=SecretStr("http://user:s3cret@c.example:9093")),
            "chat": ReceiverSettings(apprise=SecretStr("json://d.example/s3cret")),
        },
    )
    warnings = receiver_warnings(settings)
    plain_http = [warning.partition(":")[0] for warning in warnings if "plain http" in warning]
    unsigned = [warning.partition(":")[0] for warning in warnings if "not signed" in warning]
    assert plain_http == ["notify.webhooks[0]", "notify.receivers.am"]
    assert unsigned == ["notify.webhooks[0]", "notify.webhooks[1]", "notify.receivers.desk"]
    assert "s3cret" not in str(warnings)
    signed = settings.model_copy(update={"webhook_secret": SecretStr("key")})
    assert not [warning for warning in receiver_warnings(signed) if "not signed" in warning]


def test_alertmanager_keeps_its_own_quiet_hours() -> None:
    receiver = ReceiverSettings(alertmanager=SecretStr("http://127.0.0.1:9093"), quiet_hours="22:00-07:00")
    with pytest.raises(SettingsError, match=r"notify\.receivers\.am\.quiet_hours: .*time_intervals"):
        NotifyStage(NotifySettings(receivers={"am": receiver}))
