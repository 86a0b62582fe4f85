"""The form of error messages, and which errors are fatal."""

from __future__ import annotations

import pytest
from aiokafka.errors import KafkaConnectionError

from riskwire.errors import (
    BundleError,
    BusError,
    DeviceError,
    FencedError,
    RiskwireError,
    SchemaError,
    StoreError,
    is_fatal,
    without_secrets,
)


def bus_error_with(cause: Exception) -> RiskwireError:
    error = BusError("no answer within 8 s", where="kafka://b-1:9092", do="Check that the brokers run")
    error.__cause__ = cause
    return error


def test_a_message_contains_where_what_value_and_remedy_in_this_order() -> None:
    error = RiskwireError("too large", value="x" * 300, where="articles[3]", do="Make it smaller")
    assert str(error) == f"articles[3]: too large (got '{'x' * 196}...). Make it smaller"


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (OSError("disk full"), "OSError: disk full"),
        (TimeoutError(), "TimeoutError"),
        (KafkaConnectionError("reset."), "KafkaConnectionError: reset"),
        (OSError("refused\n\tIs the server running?"), "OSError: refused Is the server running?"),
    ],
    ids=["a cause with a message", "a cause without a message", "a cause that names itself", "a cause of two lines"],
)
def test_the_cause_is_named_once_and_followed_by_one_full_stop(cause: Exception, text: str) -> None:
    assert str(bus_error_with(cause)) == f"kafka://b-1:9092: no answer within 8 s: {text}. Check that the brokers run"


@pytest.mark.parametrize(
    "error",
    [
        BundleError("x"),
        DeviceError("x"),
        BusError("x"),
        FencedError("x"),
        StoreError("x"),
        OSError(),
        MemoryError(),
        RuntimeError("can't start new thread"),
    ],
    ids=repr,
)
def test_errors_of_the_stage_are_fatal(error: Exception) -> None:
    assert is_fatal(error)
    assert is_fatal(ExceptionGroup("several", [ValueError(), ExceptionGroup("nested", [error])]))


@pytest.mark.parametrize(
    "error", [SchemaError("x"), RiskwireError("x"), ValueError(), KeyError("x"), RuntimeError("x")], ids=repr
)
def test_errors_of_a_record_are_not_fatal(error: Exception) -> None:
    assert not is_fatal(error)
    assert not is_fatal(ExceptionGroup("several", [error, error]))


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://a.example/f?apikey=S3CRET&lang=en", "https://a.example/f?apikey=***&lang=en"),
        ("https://a.example/f?lang=en&Subscription-Key=S3CRET", "https://a.example/f?lang=en&Subscription-Key=***"),
        ("https://a.example/f?access_token=S3CRET#x", "https://a.example/f?access_token=***#x"),
        ("https://a.example/f?apikey=S3CRET: HTTP 503", "https://a.example/f?apikey=***: HTTP 503"),
        ("(https://a.example/f?apikey=S3.C:RET=), and", "(https://a.example/f?apikey=***), and"),
        ("https://ada:S3CRET@a.example/f", "https://***@a.example/f"),
        (
            "https://a.example/f?keywords=banks&author=ada&page=2",
            "https://a.example/f?keywords=banks&author=ada&page=2",
        ),
    ],
)
def test_secrets_in_addresses_are_masked(url: str, masked: str) -> None:
    assert without_secrets(f"the feed {url} failed") == f"the feed {masked} failed"
    assert "S3CRET" not in str(RiskwireError("failed", where=url, value=url))
