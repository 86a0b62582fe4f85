"""The status of a feed: whether it is read, since when it fails, why, and which process polls it."""

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
DOCUMENT = FetchedDocument(b"", "", FEED.url, Validators())
MOVED_DOCUMENT = FetchedDocument(b"", "", FEED.url, Validators(), moved_to="https://b.example/$(reboot)")
INCOMPLETE = ParseResult(version="rss20", items=(), fault="broke off")


def state_after(*outcomes: FetchResult | RiskwireError | ParseResult) -> PollState:
    """Returns the state after polls with these outcomes, ten minutes apart, each by another worker.

    An outcome is an error, a parsed document, or the answer of the server (as if its document was not parsed).
    """
    state = PollState(url=FEED.url)
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, RiskwireError):
            poll = PollResult(FEED, error=outcome)
        elif isinstance(outcome, ParseResult):
            poll = PollResult(FEED, DOCUMENT, outcome)
        else:
            poll = PollResult(FEED, outcome)
        state, _ = after_poll(state, poll, 3_600, NOW + timedelta(minutes=10 * number), f"worker {number}")
    return state


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([DOCUMENT], "ok"),
        ([FetchError("no"), DOCUMENT], "ok"),
        ([DOCUMENT, NotModified()], "ok"),
        ([DOCUMENT, FetchError("no")], "failing"),
        ([DOCUMENT, Busy(503)], "failing"),
        ([DOCUMENT, Gone()], "gone"),
        ([INCOMPLETE], "in part"),
        ([INCOMPLETE, ParseResult(version="rss20", items=())], "ok"),
        ([], "not yet"),
    ],
    ids=[
        "read",
        "read after a failure",
        "not modified",
        "failed after a success",
        "busy",
        "gone",
        "parsed in part",
        "parsed after a part",
        "never polled",
    ],
)
def test_the_state_of_a_feed_follows_from_its_polls(
    outcomes: Sequence[FetchResult | RiskwireError | ParseResult], state: str
) -> None:
    """A feed may miss news if it fails, is gone or could be parsed only in part."""
    (status,) = feed_statuses([FEED], {"a": state_after(*outcomes)})
    assert status.state == state
    assert status.may_miss_news == (state in {"failing", "gone", "in part"})


def test_the_state_has_the_last_success_the_last_failure_and_the_process() -> None:
    """`failures` counts failures in a row. A success sets it to 0 and keeps the text and time of the last failure."""
    state = state_after(DOCUMENT, FetchError("the name does not resolve", where=FEED.url), Busy(429, 60))
    assert (state.read_at, state.failed_at, state.failures) == (NOW, NOW + timedelta(minutes=20), 2)
    assert state.error == "the server is busy: HTTP 429, retry after 60 s"
    assert (state.polled_at, state.polled_by) == (NOW + timedelta(minutes=20), "worker 2")
    state = state_after(FetchError("no route"), NotModified())
    assert (state.failures, state.error, state.failed_at) == (0, "no route", NOW)
    assert state.read_at == state.polled_at == NOW + timedelta(minutes=10)


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=2_000))
def test_an_error_text_is_bounded_and_survives_serialisation(text: str) -> None:
    """The text may have any characters, lone surrogates included."""
    state = state_after(FetchError(text))
    assert len(state.error) <= 300
    assert PollState.model_validate_json(state.to_bytes()).error == state.error


def test_the_poll_state_of_a_previous_address_is_ignored() -> None:
    moved = FEED.model_copy(update={"url": "https://new.example/rss"})
    assert feed_statuses([moved], {"a": state_after(FetchError("no"))}) == [FeedStatus(moved, None)]


def test_a_disabled_feed_is_off_and_misses_no_news() -> None:
    (status,) = feed_statuses([FEED.model_copy(update={"enabled": False})], {"a": state_after(FetchError("no"))})
    assert (status.state, status.may_miss_news) == ("off", False)


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """Returns settings of a bus with the feeds a to d.

    The last poll of a has succeeded, three polls of b have failed, c has moved permanently, and d was never polled.
    """
    settings = Settings(data=tmp_path / "data")
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    feeds = [FEED.model_copy(update={"id": name}) for name in "abcd"]
    await publish_feeds(bus, feeds)
    polls = {
        "a": state_after(DOCUMENT),
        "b": state_after(DOCUMENT, *[FetchError("no\nroute \x1b[31m")] * 3),
        "c": state_after(MOVED_DOCUMENT),
    }
    assignment = await anext(bus.assignments("ingest", Topic.FEEDS))
    await assignment.commit(0, [], {f"poll:{name}": state.to_bytes() for name, state in polls.items()})
    await bus.close()
    return settings


async def test_the_list_shows_the_problems_and_no_terminal_control_codes(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of b has an escape sequence, and the new address of c has shell syntax, which is printed in quotes."""
    monkeypatch.setenv("COLUMNS", "200")
    await list_feeds(settings, json=False)
    output = capsys.readouterr().out
    states = [line.split()[:2] for line in output.splitlines()[1:5]]
    assert states == [["a", "ok"], ["b", "failing"], ["c", "ok"], ["d", "not"]]
    (problem,) = [line for line in output.splitlines() if line.startswith("b fails: ")]
    assert problem.startswith("b fails: no")
    assert "3 failures in a row, the last 2026-11-24 09:30 UTC; last read 2026-11-24 09:00 UTC" in problem
    assert problem.endswith("polled by worker 3)")
    assert "`riskwire feeds add c --url 'https://b.example/$(reboot)'`" in output
    assert "\x1b" not in output


async def test_the_list_names_the_repairs_of_the_last_document(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The document of a was repaired and read whole, so the feed is in order; the next document needs no repair."""
    repaired = ParseResult(version="rss20", items=(), repairs=("1 byte is not UTF-8", "bare & (×2)"))
    for document, shown in ((repaired, True), (ParseResult(version="rss20", items=()), False)):
        bus = await EmbeddedBus.open(settings.data, settings.bus)
        assignment = await anext(bus.assignments("ingest", Topic.FEEDS))
        await assignment.commit(0, [], {"poll:a": state_after(document).to_bytes()})
        await bus.close()
        await list_feeds(settings, json=False)
        output = capsys.readouterr().out
        assert output.splitlines()[1].split()[:2] == ["a", "ok"]
        line = "a has faults that are repaired when it is read: 1 byte is not UTF-8; bare & (×2)"
        assert (line in output.splitlines()) == shown


async def test_the_list_can_be_limited_to_failing_feeds(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Feed b fails, and c has moved; the others are left out."""
    await list_feeds(settings, json=False, failing=True)
    output = capsys.readouterr().out
    assert [line.split()[0] for line in output.splitlines()[1:3]] == ["b", "c"]


async def test_a_poll_state_that_cannot_be_read_is_left_out(settings: Settings) -> None:
    """The state of the polls of a is replaced by JSON with other fields."""
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    assignment = await anext(bus.assignments("ingest", Topic.FEEDS))
    await assignment.commit(0, [], {"poll:a": b'{"entirely": "different"}'})
    assert set(await read_polls(bus)) == {"b", "c"}
    await bus.close()
