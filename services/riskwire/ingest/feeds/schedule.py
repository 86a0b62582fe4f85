"""When a feed is polled next, and what is remembered of its polls. Pure: no clock, no chance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from riskwire.errors import FeedError, RefusedError, RiskwireError
from riskwire.ingest.fetching.fetch import Answer, Busy, Document, Gone, Validators
from riskwire.ingest.parsing.items import Reading
from riskwire.records import Feed, Record, Utc

DAY_S = 86_400
"""Longest wait that anything a publisher sends can cause."""

_MOST_ERROR = 300
"""Characters that are kept of what a failure said."""


class PollState(Record):
    """What is remembered of a feed between polls."""

    url: str
    """Address that the rest belongs to; a feed whose address changes starts anew."""
    etag: str | None = None
    last_modified: str | None = None
    body: str = ""
    """Hash of the last document that was read: servers without validators send the same one again and again."""
    polls: int = 0
    failures: int = 0
    """Failures in a row."""
    problem: str = ""
    """Kind of the failure that was logged last; empty while all is well."""
    faulty: bool = False
    """The last document could only be read in part."""
    moved_to: str | None = None
    gone: bool = False
    next_at: Utc | None = None
    polled_at: Utc | None = None
    polled_by: str = ""
    """The process that polled it last, as it names itself."""
    read_at: Utc | None = None
    """When it last answered as it should, with news or without."""
    failed_at: Utc | None = None
    error: str = ""
    """What the last failure was; stays when all is well again."""

    @property
    def validators(self) -> Validators:
        """What makes the next poll conditional."""
        return Validators(self.etag, self.last_modified)


def jitter(feed: str, poll: int) -> float:
    """A number in [0, 1) that looks random and is the same for the same poll of the same feed."""
    digest = blake2b(f"{feed}:{poll}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def wait_after_success(feed: Feed, state: PollState, fresh_s: float, backoff_max_s: float) -> float:
    """Seconds until the next poll: the feed's own pace, or longer where the publisher asks for it (bounded)."""
    pace = max(feed.every_s, min(fresh_s, backoff_max_s))
    return pace * (1.0 + 0.1 * jitter(feed.id, state.polls))


def wait_after_failure(feed: Feed, state: PollState, retry_after_s: float, backoff_max_s: float) -> float:
    """Seconds until the next poll: doubled with each failure in a row up to `backoff_max_s`, never before Retry-After.

    `state` counts the failure that has just happened.
    """
    most = max(backoff_max_s, feed.every_s)
    pace: float = min(most, feed.every_s * 2.0 ** min(state.failures, 30))
    spread = pace * (1.0 - 0.2 * jitter(feed.id, state.polls))
    return max(float(feed.every_s), spread, min(retry_after_s, DAY_S))


@dataclass(frozen=True, slots=True)
class Polled:
    """What came of one poll: an answer and, of a document that was read, its reading; or the error."""

    feed: Feed
    answer: Answer | None = None
    reading: Reading | None = None
    body: str = ""
    error: RiskwireError | None = None

    @property
    def trouble(self) -> str:
        """What went wrong, in words of bounded length; empty where nothing did."""
        if self.error is not None:
            text = str(self.error).encode("utf-8", "backslashreplace").decode()
            return text if len(text) <= _MOST_ERROR else text[: _MOST_ERROR - 1] + "…"
        if isinstance(self.answer, Busy):
            later = f", not again within {self.answer.retry_after_s} s" if self.answer.retry_after_s else ""
            return f"the server is busy: HTTP {self.answer.status}{later}"
        return "the server says that it is gone for good: HTTP 410" if isinstance(self.answer, Gone) else ""

    @property
    def outcome(self) -> str:
        """One word for it, as metrics and logs say it."""
        if self.error is not None:
            kinds = ((RefusedError, "refused"), (FeedError, "unreadable"))
            return next((word for kind, word in kinds if isinstance(self.error, kind)), "failed")
        if isinstance(self.answer, Document):
            return "same" if self.reading is None else "document"
        return type(self.answer).__name__.lower()


def settle(
    state: PollState, polled: Polled, backoff_max_s: float, now: datetime, worker: str = ""
) -> tuple[PollState, float]:
    """The state after a poll, and the seconds until the next.

    After a failure nothing of what an earlier success left is touched: the next poll is conditional on that still.

    Args:
        worker: who polled, as `polled_by` will name it.
    """
    feed, answer, reading = polled.feed, polled.answer, polled.reading
    state = state.model_copy(update={"polls": state.polls + 1, "polled_at": now, "polled_by": worker})
    if polled.trouble:
        state = state.model_copy(update={"failed_at": now, "error": polled.trouble})
    if polled.error is not None or answer is None or isinstance(answer, Busy):
        retry_after_s = answer.retry_after_s if isinstance(answer, Busy) else 0
        state = state.model_copy(update={"failures": state.failures + 1, "problem": polled.outcome})
        return state, wait_after_failure(feed, state, retry_after_s, backoff_max_s)
    if isinstance(answer, Gone):
        return state.model_copy(update={"gone": True, "problem": "gone"}), DAY_S
    fresh_s = answer.fresh_s
    state = state.model_copy(update={"failures": 0, "problem": "", "read_at": now})
    if isinstance(answer, Document):
        state = state.model_copy(
            update={
                "etag": answer.validators.etag,
                "last_modified": answer.validators.last_modified,
                "moved_to": answer.moved_to,
                "body": polled.body,
            }
        )
    if reading is not None:
        fresh_s = max(fresh_s, reading.fresh_s)
        state = state.model_copy(update={"faulty": bool(reading.fault)})
    return state, wait_after_success(feed, state, fresh_s, backoff_max_s)
