"""When a delivery is tried again, and how an answer is read."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from riskwire.errors import NotifyError

TOO_MANY_REQUESTS = 429
REQUEST_TIMEOUT = 408


class TryError(NotifyError):
    """One try that failed: `final` when another would not help, `retry_after_s` when the receiver named a wait."""

    def __init__(self, what: str, *, where: str, final: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(what, where=where)
        self.final = final
        self.retry_after_s = retry_after_s

    def __repr__(self) -> str:
        return f"TryError({str(self)!r})"  # what stamina logs of a try: with the receiver, never its URL


def failure_of_status(status: int, retry_after: str | None, where: str, now: datetime) -> TryError | None:
    """What an HTTP answer means: None is delivered; 408, 429 and 5xx are worth another try; all else is final.

    `Retry-After` (seconds or a date, RFC 9110 section 10.2.3) is honoured for those worth another try.
    """
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return TryError(f"answered {status}; redirects are not followed", where=where, final=True)
    if status in {REQUEST_TIMEOUT, TOO_MANY_REQUESTS} or status >= 500:
        return TryError(f"answered {status}", where=where, retry_after_s=retry_after_seconds(retry_after, now))
    return TryError(f"answered {status}", where=where, final=True)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Seconds to wait by a `Retry-After` header, not negative; None where it says nothing that can be read."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def another_try(error: Exception, *, backoff_max_s: float, remaining_s: float) -> bool | float:
    """Whether a failed try is repeated: False is the end, True after the usual growing wait, a number after so many s.

    Args:
        backoff_max_s: longest wait, whatever the receiver asks for.
        remaining_s: time left until the delivery is given up.
    """
    if not isinstance(error, TryError) or error.final or remaining_s <= 0:
        return False
    if error.retry_after_s is None:
        return True
    return min(error.retry_after_s, backoff_max_s)
