"""When an attempt to deliver is repeated."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from riskwire.notify.retry import AttemptError, error_of_status, retry_after_seconds, retry_decision

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_2xx_means_delivered(status: int) -> None:
    assert error_of_status(status, retry_after=None, where="x", now=NOW) is None


@pytest.mark.parametrize(
    ("status", "final"),
    [
        *[(status, True) for status in (301, 307, 400, 401, 404, 410)],
        *[(status, False) for status in (408, 429, 500, 503, 599)],
    ],
)
def test_408_429_and_5xx_are_retried_and_other_errors_are_final(status: int, final: bool) -> None:
    error = error_of_status(status, retry_after=None, where="x", now=NOW)
    assert error is not None
    assert error.final is final
    assert bool(retry_decision(error, backoff_max_s=300, remaining_s=10)) is not final


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Tue, 24 Nov 2026 09:01:30 GMT", 90.0),
        ("Tue, 24 Nov 2026 08:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("9" * 400, None),
        (None, None),
    ],
    ids=["seconds", "spaces", "a date", "a past date", "words", "negative", "empty", "endless", "missing"],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds


def test_the_wait_of_retry_after_is_limited_by_the_longest_backoff() -> None:
    """The decision is the number of seconds to wait before the next attempt."""
    short, long = AttemptError("", where="", retry_after_s=7.0), AttemptError("", where="", retry_after_s=86_400.0)
    assert retry_decision(short, backoff_max_s=300, remaining_s=1_000) == 7.0
    assert retry_decision(long, backoff_max_s=300, remaining_s=1_000) == 300


def test_nothing_is_retried_after_the_deadline() -> None:
    """True means another attempt after the usual backoff, False none."""
    error = AttemptError("", where="")
    assert retry_decision(error, backoff_max_s=300, remaining_s=0.1) is True
    assert retry_decision(error, backoff_max_s=300, remaining_s=0.0) is False


def test_an_error_that_is_not_of_an_attempt_is_not_retried() -> None:
    assert retry_decision(ZeroDivisionError(), backoff_max_s=300, remaining_s=10) is False
