"""Feeds are polled as good clients do: at their pace, slower when they fail or say so, never faster."""

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
READING = ParseResult(version="rss20", items=())
DOCUMENT = FetchedDocument(b"", "", FEED.url, Validators('"1"', None))


def after(polled: PollResult, state: PollState | None = None) -> tuple[PollState, float]:
    return after_poll(state or PollState(url=FEED.url), polled, 3_600, NOW, "host, process 1")


def test_a_feed_is_polled_at_its_own_pace_with_a_little_spread() -> None:
    state, wait_s = after(PollResult(FEED, DOCUMENT, READING, "hash"))
    assert 300 <= wait_s <= 330
    assert (state.etag, state.document_hash, state.failures) == ('"1"', "hash", 0)
    assert after(PollResult(FEED, NotModified()))[1] == wait_s


def test_failures_double_the_wait_up_to_the_bound_and_one_success_ends_it() -> None:
    state = PollState(url=FEED.url, etag='"1"', document_hash="hash")
    waits = []
    for _ in range(12):
        state, wait_s = after(PollResult(FEED, error=FetchError("no")), state)
        waits.append(wait_s)
    assert 480 <= waits[0] <= 600
    assert all(300 <= wait_s <= 3_600 for wait_s in waits)
    assert waits[-1] >= 0.8 * 3_600
    assert (state.etag, state.document_hash, state.failures) == ('"1"', "hash", 12)
    state, wait_s = after(PollResult(FEED, NotModified()), state)
    assert wait_s <= 330
    assert (state.failures, state.problem) == (0, "")


@given(st.integers(min_value=0, max_value=10**9))
def test_retry_after_is_kept_to_within_a_day(retry_after_s: int) -> None:
    _, wait_s = after(PollResult(FEED, Busy(429, retry_after_s)))
    assert wait_s >= min(retry_after_s, DAY_S)
    assert wait_s <= max(DAY_S, 3_600)


@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=0, max_value=86_400))
def test_freshness_that_the_publisher_asks_for_slows_polling_within_a_bound(max_age_s: int, ttl_s: int) -> None:
    document = FetchedDocument(b"", "", FEED.url, Validators(), fresh_s=max_age_s)
    _, wait_s = after(PollResult(FEED, document, READING.model_copy(update={"fresh_s": ttl_s})))
    asked = min(max(max_age_s, ttl_s), 3_600)
    assert max(300, asked) <= wait_s <= max(300, asked) * 1.1


def test_a_feed_that_is_gone_is_not_polled_again_until_its_address_changes() -> None:
    roster = Roster({}, NOW, 0.0)
    roster.put(FEED, 0.0)
    state, wait_s = after(PollResult(FEED, Gone()))
    roster.finish_poll(FEED, state, wait_s, NOW, 0.0)
    assert list(roster.due_feeds(10.0**9)) == []
    roster.put(FEED.model_copy(update={"url": "https://b.example/"}), 5.0)
    assert [feed.url for feed in roster.due_feeds(5.0)] == ["https://b.example/"]


@pytest.mark.parametrize(
    ("polled", "outcome"),
    [
        (PollResult(FEED, DOCUMENT, READING), "document"),
        (PollResult(FEED, DOCUMENT), "same"),
        (PollResult(FEED, NotModified()), "unmodified"),
        (PollResult(FEED, Gone()), "gone"),
        (PollResult(FEED, Busy(503)), "busy"),
        (PollResult(FEED, error=RefusedError("x")), "refused"),
        (PollResult(FEED, error=FeedError("x")), "unreadable"),
        (PollResult(FEED, error=FetchError("x")), "failed"),
    ],
)
def test_every_outcome_has_one_word(polled: PollResult, outcome: str) -> None:
    assert polled.outcome == outcome


def test_the_roster_restored_from_its_state_keeps_feeds_validators_and_due_times() -> None:
    state: dict[str, bytes | None] = {}
    roster = Roster({}, NOW, 0.0)
    state |= roster.put(FEED, 0.0)
    assert [feed.id for feed in roster.due_feeds(0.0)] == ["a"]
    roster.start_poll(FEED)
    assert list(roster.due_feeds(10.0**6)) == []
    state |= roster.finish_poll(FEED, PollState(url=FEED.url, etag='"1"'), 100.0, NOW, 0.0)
    kept = {key: value for key, value in state.items() if value is not None}
    again = Roster(kept, NOW + timedelta(seconds=40), 7.0)
    assert again.poll_state(FEED).etag == '"1"'
    assert again.next_due_at() == pytest.approx(67.0)
    late = Roster(kept, NOW - timedelta(days=400), 7.0)
    assert late.next_due_at() <= 7.0 + DAY_S


def test_a_feed_that_is_disabled_is_forgotten_and_one_that_changes_pace_keeps_its_validators() -> None:
    roster = Roster({}, NOW, 0.0)
    roster.put(FEED, 0.0)
    roster.finish_poll(FEED, PollState(url=FEED.url, etag='"1"'), 5_000.0, NOW, 0.0)
    faster = FEED.model_copy(update={"every_s": 60})
    roster.put(faster, 10.0)
    assert roster.poll_state(faster).etag == '"1"'
    assert roster.next_due_at() == 70.0
    roster.start_poll(faster)
    roster.put(FEED, 20.0)
    assert list(roster.due_feeds(10.0**6)) == [], "a feed whose poll runs is not polled a second time meanwhile"
    gone = roster.put(FEED.model_copy(update={"enabled": False}), 0.0)
    assert gone == {"feed:a": None, "poll:a": None}
    assert len(roster) == 0
    assert not roster.has(FEED)
