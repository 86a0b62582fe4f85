"""Receivers against real local servers: one try each, and which settings are refused."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable

import orjson
import pytest
from pydantic import SecretStr

from riskwire.errors import SettingsError
from riskwire.notify import Notify
from riskwire.notify.receiver import MOST_ANSWER, Service, Webhook
from riskwire.notify.retry import TryError
from riskwire.records import Alert
from riskwire.settings import NotifySettings

Make = Callable[..., Alert]
Listen = Callable[[], Awaitable]  # type: ignore[type-arg]


def webhook(url: str, secret: str | None = None, timeout_s: float = 5.0) -> Webhook:
    return Webhook(0, url, secret, timeout_s, 2)


async def failure(receiver: Webhook | Service, alert: Alert) -> TryError:
    with pytest.raises(TryError) as caught:
        await receiver.attempt(alert, alert.to_bytes())
    await receiver.close()
    return caught.value


async def test_a_webhook_gets_the_very_record_signed_so_that_a_receiver_can_check_it(
    listen: Listen, alert: Make
) -> None:
    listener = await listen()
    receiver = webhook(listener.url, "topsecret")
    record = alert().to_bytes()
    await receiver.attempt(alert(), record)
    await receiver.close()
    [(headers, body)] = listener.requests
    assert body == record
    assert headers["Content-Type"] == "application/json"
    assert abs(int(headers["X-Riskwire-Timestamp"]) - time.time()) < 60
    expected = hmac.new(b"topsecret", headers["X-Riskwire-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["X-Riskwire-Signature"] == "sha256=" + expected.hexdigest()
    assert headers["Idempotency-Key"]


async def test_a_webhook_without_a_secret_is_not_signed(listen: Listen, alert: Make) -> None:
    listener = await listen()
    receiver = webhook(listener.url)
    await receiver.attempt(alert(), alert().to_bytes())
    await receiver.close()
    [(headers, _)] = listener.requests
    assert not [name for name in headers if name.startswith("X-Riskwire")]


async def test_a_redirect_is_not_followed(listen: Listen, alert: Make) -> None:
    elsewhere, listener = await listen(), await listen()
    listener.answers, listener.headers = [307], {"Location": elsewhere.url}
    error = await failure(webhook(listener.url), alert())
    assert error.final
    assert elsewhere.requests == []


async def test_a_receiver_that_hangs_is_left_at_the_deadline(listen: Listen, alert: Make) -> None:
    listener = await listen()
    listener.hang = True
    error = await failure(webhook(listener.url, timeout_s=0.2), alert())
    assert not error.final
    assert "0.2 s" in str(error)


async def test_no_more_of_an_answer_is_read_than_the_limit(listen: Listen, alert: Make) -> None:
    listener = await listen()
    listener.answers, listener.body = [500], b"z" * (MOST_ANSWER * 20)
    error = await failure(webhook(listener.url), alert())
    assert not error.final
    assert len(str(error)) < 400


async def test_nobody_listening_is_worth_another_try(alert: Make) -> None:
    error = await failure(webhook("http://127.0.0.1:1/hook"), alert())
    assert not error.final


async def test_an_apprise_service_gets_title_and_body(listen: Listen, alert: Make) -> None:
    listener = await listen()
    receiver = Service(0, listener.url.replace("http://", "json://"), 5.0)
    await receiver.attempt(alert(), b"")
    await receiver.close()
    [(_, body)] = listener.requests
    told = orjson.loads(body)
    assert told["title"] == "HIGH: Norrland Motors (alert)"
    assert "https://wire.example/1" in told["message"]


async def test_an_apprise_service_that_fails_or_hangs_is_worth_another_try(listen: Listen, alert: Make) -> None:
    listener = await listen()
    listener.answers = [500]
    assert not (await failure(Service(0, listener.url.replace("http", "json"), 5.0), alert())).final
    listener.hang = True
    assert not (await failure(Service(0, listener.url.replace("http", "json") + "?rto=1", 0.2), alert())).final


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
def test_a_url_that_cannot_be_used_is_refused_at_start_without_showing_it(setting: str, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Notify(NotifySettings(**{setting: (url,)}))  # type: ignore[arg-type]
    assert f"notify.{setting}[0]" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_same_receiver_twice_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"notify\.webhooks\[1\].*the same URL as notify\.webhooks\[0\]"):
        Notify(NotifySettings(webhooks=(SecretStr("https://a.example/1"), SecretStr("https://a.example/1"))))


def test_an_empty_key_is_refused_rather_than_left_unsigned() -> None:
    with pytest.raises(SettingsError, match="webhook_secret"):
        Notify(NotifySettings(webhook_secret=SecretStr("")))


def test_labels_and_state_never_hold_the_secret_of_a_url() -> None:
    notify = Notify(NotifySettings(webhooks=(SecretStr("https://user:s3cret@a.example/s3cret?k=s3cret"),)))
    [receiver] = notify.receivers.values()
    assert "s3cret" not in receiver.label + receiver.way
    assert "a.example" in receiver.label
