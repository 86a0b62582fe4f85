"""When a feed is polled next, and the state that each poll leaves. Pure: no clock and no random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from riskwire.errors import FeedError, FetchError, RefusedError, RiskwireError
from riskwire.ingest.fetching.fetch import Busy, FetchedDocument, FetchResult, Gone, NotModified, Validators
from riskwire.ingest.parsing.items import ParseResult
from riskwire.records import Feed, Record, Utc

DAY_S = 86_400
"""The longest wait that a publisher's answer can cause."""

_MAX_ERROR = 300
"""Characters of an error in the state of a feed."""
_MAX_DOUBLINGS = 30


class PollState(Record):
    """The state of a feed's polls.

    Attributes:
        url: the address that this state belongs to. A feed whose address changes starts with an empty state.
        document_hash: the hash of the last parsed document. A server without validators sends the same document again,
            which need not be parsed again.
        failures: failures in a row.
        problem: the outcome of the last poll if it failed, otherwise empty.
        incomplete: whether only a part of the last document could be parsed.
        repairs: what was wrong with the last document and was repaired, in words.
        items: items of the last document that was parsed.
        unreadable_dates: items whose date cannot be read, or lies before 1995 or beyond tomorrow.
        date_example: such a date, as the publisher wrote it.
        late_items: how many of the newest items in a row were backfill; those of the first document do not count.
        moved_to: the address to which the server redirects permanently.
        gone: whether the server answered 410; then the feed is not polled any more.
        polled_by: the process that polled last.
        read_at: when the server last answered as expected, with or without news.
        error: the last failure; it stays after a success.
    """

    url: str
    etag: str | None = None
    last_modified: str | None = None
    document_hash: str = ""
    polls: int = 0
    failures: int = 0
    problem: str = ""
    incomplete: bool = False
    repairs: tuple[str, ...] = ()
    items: int = 0
    unreadable_dates: int = 0
    date_example: str = ""
    late_items: int = 0
    moved_to: str | None = None
    gone: bool = False
    next_at: Utc | None = None
    polled_at: Utc | None = None
    polled_by: str = ""
    read_at: Utc | None = None
    failed_at: Utc | None = None
    error: str = ""

    @property
    def validators(self) -> Validators:
        """The validators that make the next poll conditional."""
        return Validators(self.etag, self.last_modified)


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll.

    Attributes:
        fetched: the answer of the server; None after an error.
        parsed: the items of a document that was parsed; None if the document was the same as before, or not parsed.
        document_hash: the hash of a fetched document.
        error: why the fetch or the parser failed.
    """

    feed: Feed
    fetched: FetchResult | None = None
    parsed: ParseResult | None = None
    document_hash: str = ""
    error: RiskwireError | None = None

    @property
    def failure(self) -> str:
        """The failure in at most `_MAX_ERROR` characters of valid Unicode; empty after a success."""
        if self.error is not None:
            text = str(self.error).encode("utf-8", "backslashreplace").decode()
            return text if len(text) <= _MAX_ERROR else text[: _MAX_ERROR - 1] + "…"
        if isinstance(self.fetched, Busy):
            retry = f", retry after {self.fetched.retry_after_s} s" if self.fetched.retry_after_s else ""
            return f"the server is busy: HTTP {self.fetched.status}{retry}"
        return "the server has removed the feed: HTTP 410" if isinstance(self.fetched, Gone) else ""

    @property
    def reached_no_server(self) -> bool:
        """Whether no server answered: the host has no address, or nothing accepted the connection."""
        return isinstance(self.error, FetchError) and isinstance(self.error.__cause__, OSError)

    @property
    def outcome(self) -> str:
        """The outcome of the poll as metrics and logs name it.

        `document` was parsed, `same` is the document of the last poll, and `unmodified` is the answer 304.
        """
        if isinstance(self.error, RefusedError):
            return "refused"
        if isinstance(self.error, FeedError):
            return "unreadable"
        if self.error is not None:
            return "failed"
        if isinstance(self.fetched, FetchedDocument):
            return "same" if self.parsed is None else "document"
        outcomes = {NotModified: "unmodified", Gone: "gone", Busy: "busy"}
        return outcomes.get(type(self.fetched), "failed")


def after_poll(
    state: PollState, poll: PollResult, backoff_max_s: float, now: datetime, worker: str = ""
) -> tuple[PollState, float]:
    """Returns the state after a poll, and the seconds until the next poll.

    A failure leaves the validators of the last success in place, so that the next poll is conditional. A feed that is
    gone (HTTP 410) is marked as such and not polled any more; it does not count as a failure in a row.

    Args:
        backoff_max_s: the longest wait after failures.
        now: the time of day of the poll.
        worker: the process that polled, for `PollState.polled_by`.
    """
    feed, fetched, parsed = poll.feed, poll.fetched, poll.parsed
    state = state.model_copy(update={"polls": state.polls + 1, "polled_at": now, "polled_by": worker})
    if poll.failure:
        state = state.model_copy(update={"failed_at": now, "error": poll.failure})
    if poll.error is not None or fetched is None or isinstance(fetched, Busy):
        retry_after_s = fetched.retry_after_s if isinstance(fetched, Busy) else 0
        state = state.model_copy(update={"failures": state.failures + 1, "problem": poll.outcome})
        return state, wait_after_failure(feed, state, retry_after_s, backoff_max_s)
    if isinstance(fetched, Gone):
        return state.model_copy(update={"gone": True, "problem": "gone"}), DAY_S
    fresh_s = fetched.fresh_s
    state = state.model_copy(update={"failures": 0, "problem": "", "read_at": now})
    if isinstance(fetched, FetchedDocument):
        state = state.model_copy(
            update={
                "etag": fetched.validators.etag,
                "last_modified": fetched.validators.last_modified,
                "moved_to": fetched.moved_to,
                "document_hash": poll.document_hash,
            }
        )
    if parsed is not None:
        fresh_s = max(fresh_s, parsed.fresh_s)
        state = state.model_copy(update={"incomplete": bool(parsed.fault), "repairs": parsed.repairs})
    return state, wait_after_success(feed, state, fresh_s, backoff_max_s)


def wait_after_success(feed: Feed, state: PollState, fresh_s: float, backoff_max_s: float) -> float:
    """Returns the seconds until the next poll: the feed's interval, or longer if the publisher asks for it.

    Up to a tenth is added, by feed and poll, so that the polls of many feeds spread.

    Args:
        fresh_s: how long the publisher says that the document stays fresh; at most `backoff_max_s` of it counts.
    """
    interval_s = max(feed.every_s, min(fresh_s, backoff_max_s))
    return interval_s * (1.0 + 0.1 * jitter(feed.id, state.polls))


def wait_after_failure(feed: Feed, state: PollState, retry_after_s: float, backoff_max_s: float) -> float:
    """Returns the seconds until the next poll: doubled with each failure in a row, up to `backoff_max_s`.

    Up to a fifth is taken off, so that the polls of many feeds spread. The wait is never shorter than `retry_after_s`,
    of which at most a day counts.

    Args:
        feed: the feed, whose interval is the shortest wait, also if it is longer than `backoff_max_s`.
        state: the state that already counts this failure.
        retry_after_s: the wait that the server asked for; 0 if it asked for none.
    """
    max_wait_s = max(backoff_max_s, feed.every_s)
    backoff_s: float = min(max_wait_s, feed.every_s * 2.0 ** min(state.failures, _MAX_DOUBLINGS))
    backoff_s *= 1.0 - 0.2 * jitter(feed.id, state.polls)
    return max(float(feed.every_s), backoff_s, min(retry_after_s, DAY_S))


def jitter(feed_id: str, polls: int) -> float:
    """Returns a number in [0, 1) that spreads the polls of many feeds and depends only on the arguments."""
    digest = blake2b(f"{feed_id}:{polls}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
