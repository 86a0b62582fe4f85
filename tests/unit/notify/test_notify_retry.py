"""When a delivery is tried again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from riskwire.notify.retry import TryError, another_try, failure_of_status, retry_after_seconds

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_2xx_is_delivered(status: int) -> None:
    assert failure_of_status(status, None, "x", NOW) is None


@pytest.mark.parametrize(
    ("status", "final"),
    [
        *[(status, True) for status in (301, 307, 400, 401, 404, 410)],
        *[(status, False) for status in (408, 429, 500, 503, 599)],
    ],
)
def test_what_will_not_change_is_final_and_what_may_change_is_not(status: int, final: bool) -> None:
    failure = failure_of_status(status, None, "x", NOW)
    assert failure is not None
    assert failure.final is final
    assert bool(another_try(failure, backoff_max_s=300, remaining_s=10)) is not final


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
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds


def test_retry_after_is_honoured_but_capped() -> None:
    assert another_try(TryError("", where="", retry_after_s=7.0), backoff_max_s=300, remaining_s=1_000) == 7.0
    assert another_try(TryError("", where="", retry_after_s=86_400.0), backoff_max_s=300, remaining_s=1_000) == 300


def test_nothing_is_tried_after_the_time_is_up() -> None:
    assert another_try(TryError("", where=""), backoff_max_s=300, remaining_s=0.1) is True
    assert another_try(TryError("", where="", retry_after_s=1.0), backoff_max_s=300, remaining_s=0.0) is False


def test_an_error_of_our_own_is_not_retried() -> None:
    assert another_try(ZeroDivisionError(), backoff_max_s=300, remaining_s=10) is False
