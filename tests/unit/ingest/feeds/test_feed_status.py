"""An operator sees of each feed whether it is read, since when not, why, and who polls it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.cli.feeds import list_feeds
from riskwire.errors import FetchError, RiskwireError
from riskwire.ingest.feeds.publication import publish_feeds
from riskwire.ingest.feeds.schedule import PollResult, PollState, after_poll
from riskwire.ingest.feeds.status import FeedStatus, feed_statuses, read_polls
from riskwire.ingest.fetching.fetch import Busy, FetchedDocument, FetchResult, Gone, NotModified, Validators
from riskwire.ingest.parsing.items import ParseResult
from riskwire.pipeline import Topic
from riskwire.records import Feed
from riskwire.settings import Settings

FEED = Feed(id="a", url="https://a.example/rss")
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
READ = FetchedDocument(b"", "", FEED.url, Validators())
MOVED = FetchedDocument(b"", "", FEED.url, Validators(), moved_to="https://b.example/$(reboot)")
DAMAGED = ParseResult(version="rss20", items=(), fault="broke off")


def polled(*answers: FetchResult | RiskwireError | ParseResult) -> PollState:
    """After these polls, ten minutes apart."""
    state = PollState(url=FEED.url)
    for number, answer in enumerate(answers):
        if isinstance(answer, RiskwireError):
            one = PollResult(FEED, error=answer)
        elif isinstance(answer, ParseResult):
            one = PollResult(FEED, READ, answer)
        else:
            one = PollResult(FEED, answer)
        state, _ = after_poll(state, one, 3_600, NOW + timedelta(minutes=10 * number), f"worker {number}")
    return state


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ([READ], "ok"),
        ([FetchError("no"), READ], "ok"),
        ([READ, NotModified()], "ok"),
        ([READ, FetchError("no")], "failing"),
        ([READ, Busy(503)], "failing"),
        ([READ, Gone()], "gone"),
        ([DAMAGED], "in part"),
        ([DAMAGED, ParseResult(version="rss20", items=())], "ok"),
        ([], "not yet"),
    ],
)
def test_one_word_says_how_a_feed_does(
    answers: Sequence[FetchResult | RiskwireError | ParseResult], state: str
) -> None:
    (one,) = feed_statuses([FEED], {"a": polled(*answers)})
    assert one.state == state
    assert one.may_miss_news == (state in {"failing", "gone", "in part"})


def test_it_is_kept_when_a_feed_was_read_failed_and_why_and_who_polled_it() -> None:
    state = polled(READ, FetchError("the name does not resolve", where=FEED.url), Busy(429, 60))
    assert (state.read_at, state.failed_at, state.failures) == (NOW, NOW + timedelta(minutes=20), 2)
    assert state.error == "the server is busy: HTTP 429, retry after 60 s"
    assert (state.polled_at, state.polled_by) == (NOW + timedelta(minutes=20), "worker 2")
    state = polled(FetchError("no route"), NotModified())
    assert (state.failures, state.error, state.failed_at) == (0, "no route", NOW)
    assert state.read_at == state.polled_at == NOW + timedelta(minutes=10)


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=2_000))
def test_whatever_a_server_says_is_kept_bounded_and_can_be_written(said: str) -> None:
    state = polled(FetchError(said))
    assert len(state.error) <= 300
    assert PollState.model_validate_json(state.to_bytes()).error == state.error


def test_what_belongs_to_an_address_that_a_feed_had_before_is_not_told_of_the_new_one() -> None:
    moved = FEED.model_copy(update={"url": "https://new.example/rss"})
    assert feed_statuses([moved], {"a": polled(FetchError("no"))}) == [FeedStatus(moved, None)]


def test_a_feed_that_is_switched_off_needs_no_look() -> None:
    (one,) = feed_statuses([FEED.model_copy(update={"enabled": False})], {"a": polled(FetchError("no"))})
    assert (one.state, one.may_miss_news) == ("off", False)


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A bus with the feeds a to d, of which all but d have been polled."""
    settings = Settings(data=tmp_path / "data")
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    listed = [FEED.model_copy(update={"id": name}) for name in "abcd"]
    await publish_feeds(bus, listed)
    known = {"a": polled(READ), "b": polled(READ, *[FetchError("no\nroute \x1b[31m")] * 3), "c": polled(MOVED)}
    task = await anext(bus.assignments("ingest", Topic.FEEDS))
    await task.commit(0, [], {f"poll:{name}": state.to_bytes() for name, state in known.items()})
    await bus.close()
    return settings


async def test_the_list_says_what_is_wrong_and_steers_no_terminal(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    await list_feeds(settings, json=False)
    shown = capsys.readouterr().out
    states = [line.split()[:2] for line in shown.splitlines()[1:5]]
    assert states == [["a", "ok"], ["b", "failing"], ["c", "ok"], ["d", "not"]]
    (told,) = [line for line in shown.splitlines() if line.startswith("b fails: ")]
    assert told.startswith("b fails: no")
    assert "3 failures in a row, the last 2026-11-24 09:30; last read 2026-11-24 09:00" in told
    assert told.endswith("polled by worker 3)")
    assert "`riskwire feeds add c --url 'https://b.example/$(reboot)'`" in shown
    assert "\x1b" not in shown


async def test_only_what_fails_can_be_asked_for(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    await list_feeds(settings, json=False, failing=True)
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()[1:3]] == ["b", "c"]


async def test_what_a_newer_riskwire_keeps_does_not_end_the_list(settings: Settings) -> None:
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    task = await anext(bus.assignments("ingest", Topic.FEEDS))
    await task.commit(0, [], {"poll:a": b'{"entirely": "different"}'})
    assert set(await read_polls(bus)) == {"b", "c"}
    await bus.close()
