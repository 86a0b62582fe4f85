"""Feeds are polled at their interval, more slowly after failures or if the publisher asks for it, and never faster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.errors import FeedError, FetchError, RefusedError
from riskwire.ingest.feeds.roster import Roster
from riskwire.ingest.feeds.schedule import DAY_S, PollResult, PollState, after_poll
from riskwire.ingest.fetching.fetch import Busy, FetchedDocument, Gone, NotModified, Validators
from riskwire.ingest.parsing.items import ParseResult
from riskwire.records import Feed

FEED = Feed(id="a", url="https://a.example/", every_s=300)
NOW = datetime(2026, 11, 24, tzinfo=UTC)
PARSED = ParseResult(version="rss20", items=())
DOCUMENT = FetchedDocument(b"", "", FEED.url, Validators('"1"', None))
FAR_FUTURE_S = 10.0**9


def state_and_wait(poll: PollResult, state: PollState | None = None) -> tuple[PollState, float]:
    return after_poll(state or PollState(url=FEED.url), poll, 3_600, NOW, "host, process 1")


def test_a_feed_is_polled_at_its_interval_with_a_small_jitter() -> None:
    """The interval is 300 s, and up to a tenth is added. A poll that finds nothing new waits as long."""
    state, wait_s = state_and_wait(PollResult(FEED, DOCUMENT, PARSED, "hash"))
    assert 300 <= wait_s <= 330
    assert (state.etag, state.document_hash, state.failures) == ('"1"', "hash", 0)
    assert state_and_wait(PollResult(FEED, NotModified()))[1] == wait_s


def test_failures_double_the_wait_up_to_a_bound_and_a_success_resets_it() -> None:
    """The bound is 3,600 s, of which jitter takes up to a fifth. Failures keep the validators of the last success."""
    state = PollState(url=FEED.url, etag='"1"', document_hash="hash")
    waits = []
    for _ in range(12):
        state, wait_s = state_and_wait(PollResult(FEED, error=FetchError("no")), state)
        waits.append(wait_s)
    assert 480 <= waits[0] <= 600
    assert all(300 <= wait_s <= 3_600 for wait_s in waits)
    assert waits[-1] >= 0.8 * 3_600
    assert (state.etag, state.document_hash, state.failures) == ('"1"', "hash", 12)
    state, wait_s = state_and_wait(PollResult(FEED, NotModified()), state)
    assert wait_s <= 330
    assert (state.failures, state.problem) == (0, "")


@given(st.integers(min_value=0, max_value=10**9))
def test_retry_after_is_respected_up_to_a_day(retry_after_s: int) -> None:
    """The server answers 429 with the seconds to wait."""
    _, wait_s = state_and_wait(PollResult(FEED, Busy(429, retry_after_s)))
    assert wait_s >= min(retry_after_s, DAY_S)
    assert wait_s <= max(DAY_S, 3_600)


@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=0, max_value=86_400))
def test_a_longer_freshness_slows_polling_down_within_a_bound(max_age_s: int, ttl_s: int) -> None:
    """The longer one counts, up to 3,600 s, and up to a tenth is added.

    Args:
        max_age_s: how long the document stays fresh by the header of the response.
        ttl_s: the same by the document itself.
    """
    document = FetchedDocument(b"", "", FEED.url, Validators(), fresh_s=max_age_s)
    _, wait_s = state_and_wait(PollResult(FEED, document, PARSED.model_copy(update={"fresh_s": ttl_s})))
    fresh_s = min(max(max_age_s, ttl_s), 3_600)
    assert max(300, fresh_s) <= wait_s <= max(300, fresh_s) * 1.1


def test_a_feed_that_is_gone_is_not_polled_again_until_its_address_changes() -> None:
    """The server has answered 410. A `Roster` has the feeds of a partition; numbers are its time in seconds."""
    roster = Roster({}, NOW, 0.0)
    roster.put(FEED, 0.0)
    state, wait_s = state_and_wait(PollResult(FEED, Gone()))
    roster.finish_poll(FEED, state, wait_s, NOW, 0.0)
    assert list(roster.due_feeds(FAR_FUTURE_S)) == []
    roster.put(FEED.model_copy(update={"url": "https://b.example/"}), 5.0)
    assert [feed.url for feed in roster.due_feeds(5.0)] == ["https://b.example/"]


@pytest.mark.parametrize(
    ("poll", "outcome"),
    [
        (PollResult(FEED, DOCUMENT, PARSED), "document"),
        (PollResult(FEED, DOCUMENT), "same"),
        (PollResult(FEED, NotModified()), "unmodified"),
        (PollResult(FEED, Gone()), "gone"),
        (PollResult(FEED, Busy(503)), "busy"),
        (PollResult(FEED, error=RefusedError("x")), "refused"),
        (PollResult(FEED, error=FeedError("x")), "unreadable"),
        (PollResult(FEED, error=FetchError("x")), "failed"),
    ],
    ids=["document", "same", "unmodified", "gone", "busy", "refused", "unreadable", "failed"],
)
def test_the_outcome_of_a_poll_is_named(poll: PollResult, outcome: str) -> None:
    assert poll.outcome == outcome


def committed_state(changes: dict[str, bytes | None]) -> dict[str, bytes]:
    return {key: value for key, value in changes.items() if value is not None}


def test_a_restored_roster_has_the_feeds_validators_and_due_times_of_before() -> None:
    """A feed is not due while its poll runs. The next poll is due 100 s after the first.

    Restored 40 s later, the roster waits the remaining 60 s on its own clock, which reads 7 s then. If the wall clock
    was set back by more than a year, it waits a day at most.
    """
    roster = Roster({}, NOW, 0.0)
    roster.put(FEED, 0.0)
    changes = roster.take_changes()
    assert [feed.id for feed in roster.due_feeds(0.0)] == ["a"]
    roster.start_poll(FEED)
    assert list(roster.due_feeds(FAR_FUTURE_S)) == []
    roster.finish_poll(FEED, PollState(url=FEED.url, etag='"1"'), 100.0, NOW, 0.0)
    state = committed_state(changes | roster.take_changes())
    restored = Roster(state, NOW + timedelta(seconds=40), 7.0)
    assert restored.poll_state(FEED).etag == '"1"'
    assert restored.next_due_at() == pytest.approx(67.0)
    after_wall_clock_set_back = Roster(state, NOW - timedelta(days=400), 7.0)
    assert after_wall_clock_set_back.next_due_at() <= 7.0 + DAY_S


def test_a_feed_with_a_new_interval_keeps_its_validators() -> None:
    """The next poll was due in 5,000 s, and is due 60 s after the change at 10 s."""
    roster = Roster({}, NOW, 0.0)
    roster.put(FEED, 0.0)
    roster.finish_poll(FEED, PollState(url=FEED.url, etag='"1"'), 5_000.0, NOW, 0.0)
    faster = FEED.model_copy(update={"every_s": 60})
    roster.put(faster, 10.0)
    assert roster.poll_state(faster).etag == '"1"'
    assert roster.next_due_at() == 70.0
    roster.start_poll(faster)
    roster.put(FEED, 20.0)
    assert list(roster.due_feeds(FAR_FUTURE_S)) == [], "a feed is not polled a second time while its poll runs"


def test_a_disabled_feed_is_removed_from_the_state() -> None:
    """The state has the feed and the state of its polls under its id; None deletes a key."""
    roster = Roster({}, NOW, 0.0)
    roster.put(FEED, 0.0)
    roster.finish_poll(FEED, PollState(url=FEED.url), 5_000.0, NOW, 0.0)
    assert set(roster.take_changes()) == {"feed:a", "poll:a"}
    roster.put(FEED.model_copy(update={"enabled": False}), 0.0)
    assert roster.take_changes() == {"feed:a": None, "poll:a": None}
    assert len(roster) == 0
    assert not roster.has(FEED)


def test_a_new_address_resets_the_state_of_the_polls() -> None:
    """The result of a poll of the old address no longer counts: `has` is False for it."""
    roster = Roster({}, NOW, 0.0)
    roster.put(FEED, 0.0)
    roster.finish_poll(FEED, PollState(url=FEED.url, etag='"1"'), 5_000.0, NOW, 0.0)
    roster.take_changes()
    moved = FEED.model_copy(update={"url": "https://b.example/"})
    roster.put(moved, 10.0)
    assert roster.take_changes() == {"feed:a": moved.to_bytes(), "poll:a": None}
    assert roster.poll_state(moved) == PollState(url=moved.url)
    assert not roster.has(FEED)
