"""When an attempt to deliver is repeated, and what an HTTP answer means for it."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from riskwire.errors import NotifyError

TOO_MANY_REQUESTS = 429
REQUEST_TIMEOUT = 408


class AttemptError(NotifyError):
    """One attempt to deliver that failed.

    Args:
        where: the label of the receiver.
        final: whether another attempt would fail as well.
        retry_after_s: the wait that the receiver asked for.
    """

    def __init__(self, what: str, *, where: str, final: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(what, where=where)
        self.final = final
        self.retry_after_s = retry_after_s

    def __repr__(self) -> str:
        # stamina logs the `repr` of each failed attempt: it names the receiver and never shows its URL.
        return f"AttemptError({str(self)!r})"


class StoppedError(AttemptError):
    """No further attempt is made to deliver: the delivery was stopped, and the attempt that was being made failed."""


def error_of_status(status: int, retry_after: str | None, where: str, now: datetime) -> AttemptError | None:
    """Returns the error that an HTTP answer means, or None for success (2xx).

    408, 429 and 5xx are worth another attempt, after the wait that `Retry-After` (seconds or a date, RFC 9110 section
    10.2.3) asks for. Every other status is final.

    Args:
        retry_after: the value of the header, or None.
        where: the receiver, for the message.
        now: the time of day, from which a date in the header is counted.
    """
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return AttemptError(f"answered {status}; redirects are not followed", where=where, final=True)
    if status in {REQUEST_TIMEOUT, TOO_MANY_REQUESTS} or status >= 500:
        return AttemptError(f"answered {status}", where=where, retry_after_s=retry_after_seconds(retry_after, now))
    return AttemptError(f"answered {status}", where=where, final=True)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Returns the seconds that a `Retry-After` header asks for, at least 0; None for a missing or invalid header.

    Args:
        value: the header: a number of seconds (at most nine digits) or a date.
        now: the time from which a date is counted.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return float(value)
    try:
        retry_at = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    if retry_at.tzinfo is None:
        retry_at = retry_at.replace(tzinfo=UTC)
    return max(0.0, (retry_at - now).total_seconds())


def retry_decision(error: Exception, *, backoff_max_s: float, remaining_s: float) -> bool | float:
    """Returns whether a failed attempt is repeated, as stamina expects it.

    Args:
        backoff_max_s: the longest wait, whatever the receiver asks for.
        remaining_s: the seconds until the delivery is given up.

    Returns:
        False for no further attempt: no time remains, the error is final, or it is no `AttemptError`. True for one
        after the usual exponential backoff. Or the seconds to wait that the receiver asked for.
    """
    if not isinstance(error, AttemptError) or error.final or remaining_s <= 0:
        return False
    if error.retry_after_s is None:
        return True
    return min(error.retry_after_s, backoff_max_s)
