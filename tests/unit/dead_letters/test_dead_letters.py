"""Dead letters are found without reading all of them, and go back where they came from, each once."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fictional import alert
from webhooks import receiving

from riskwire.bus import Bus, Message, Outgoing
from riskwire.cli import dead_letters
from riskwire.cli.dead_letters import replay_letters, show, show_list
from riskwire.dead_letters.letters import Letter, every, find, newest, overtaken, replay, replays, why_not
from riskwire.errors import SchemaError, SettingsError
from riskwire.notify import NotifyStage
from riskwire.pipeline import Topic
from riskwire.records import DeadLetter
from riskwire.settings import Settings
from riskwire.stage import dead_letter
from riskwire.store import Store

Post = Callable[[Iterable[DeadLetter]], Awaitable[None]]

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PARTITIONS = {str(topic): 2 for topic in Topic}


def said(**fields: object) -> DeadLetter:
    plain = {"stage": "infer", "topic": "articles", "partition": 1, "offset": 7, "key": "k", "at": NOW}
    return DeadLetter.model_validate(plain | {"error": "SchemaError: no", "record": "{}"} | fields)


def letter(at: int = 3, on: int = 0, **fields: object) -> Letter:
    return Letter(on, at, said(**fields))


async def everything_on(bus: Bus, topic: Topic) -> list[Message]:
    return [m for p in range(bus.partitions(topic)) for m in await bus.read(topic, p, 0, 1_000)]


class Counting:
    """A bus that counts what is read of it."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.read_records = 0
        self.read_notes = 0

    def __getattr__(self, name: str):
        return getattr(self.bus, name)

    async def read(self, *where):
        messages = await self.bus.read(*where)
        self.read_records += len(messages)
        return messages

    async def publisher_state(self, name):
        self.read_notes += 1
        return await self.bus.publisher_state(name)


async def test_the_newest_are_found_without_reading_all(bus: Bus, post: Post) -> None:
    await post([said(offset=n) for n in range(3_000)])
    counting = Counting(bus)
    found = await newest(counting, 4)
    assert [one.said.offset for one in found] == [2996, 2997, 2998, 2999]
    assert counting.read_records < 100


async def test_those_of_a_stage_are_found_however_far_back_they_are(bus: Bus, post: Post) -> None:
    await post([said(stage="alert", offset=1), *(said(offset=n) for n in range(500))])
    found = await newest(bus, 20, lambda one: one.said.stage == "alert")
    assert [one.place for one in found] == ["0"]


async def test_a_letter_is_found_by_its_place_or_by_where_its_record_came_from(bus: Bus, post: Post) -> None:
    await post([said(offset=1), said(offset=2), said(offset=2, error="the second time")])
    for place in ("1", "0@1", "dead-letters[0]@1", " 1 "):
        assert (await find(bus, place)).said.error == "SchemaError: no"
    assert (await find(bus, "articles[1]@2")).said.error == "the second time"
    for place, why in {
        "9": "no dead letter is there",
        "7@0": "no dead letter is there",
        "9999999999999999999": "no dead letter is there",
        "9" * 5_000: "not the place",
        f"{'9' * 5_000}@1": "not the place",
        f"articles[{'9' * 5_000}]@1": "not the place",
        f"articles[1]@{'9' * 5_000}": "not the place",
        "articles[1]@99": "no dead letter is there",
        "nonsense": "not the place",
        "-1": "not the place",
    }.items():
        with pytest.raises(SettingsError, match=why):
            await find(bus, place)


async def test_what_is_no_dead_letter_is_left_out(bus: Bus, post: Post) -> None:
    async with bus.publisher("vandal") as publisher:
        await publisher.publish([Outgoing(Topic.DEAD_LETTERS, None, b"\xff{", 0)], {})
    await post([said()])
    assert [one.place for one in await newest(bus, 5)] == ["1"]
    assert [one.place async for some in every(bus) for one in some] == ["1"]


@pytest.mark.parametrize("value", [b'{"half": ', "Zürich \u2028 \x00".encode(), b"\xff\xfe not text", b""])
async def test_a_record_goes_back_as_it_was_read_with_its_key_once(bus: Bus, settings: Settings, value: bytes) -> None:
    source = Message("articles", 1, 7, "the-key", value)
    async with bus.publisher("stage") as publisher:
        await publisher.publish([dead_letter("infer", source, SchemaError("no"))], {})
    (place,) = [one.place for one in await newest(bus, 1)]
    assert await replay_letters(settings, place, everything=False, stage=None, again=False) == 0
    assert await replay_letters(settings, place, everything=False, stage=None, again=False) == 0
    (back,) = await everything_on(bus, Topic.ARTICLES)
    assert (back.partition, back.key, back.value) == (1, "the-key", value)
    assert await replay_letters(settings, place, everything=False, stage=None, again=True) == 0
    assert len(await everything_on(bus, Topic.ARTICLES)) == 2


async def test_all_of_a_stage_go_back_in_order_and_the_others_stay(
    bus: Bus, post: Post, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await post([said(offset=n, record=str(n), stage="infer" if n % 2 else "alert") for n in range(300)])
    assert await replay_letters(settings, None, everything=True, stage="infer", again=False) == 0
    assert [m.value for m in await everything_on(bus, Topic.ARTICLES)] == [b"%d" % n for n in range(1, 300, 2)]
    assert "150 replayed, 0 had been before" in capsys.readouterr().out
    assert await replay_letters(settings, None, everything=True, stage=None, again=False) == 0
    assert "150 replayed, 150 had been before" in capsys.readouterr().out
    assert Counter(m.value for m in await everything_on(bus, Topic.ARTICLES)).most_common(1)[0][1] == 1


async def test_one_that_cannot_be_put_back_says_why_and_the_others_go(
    bus: Bus, post: Post, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await post([said(topic="archive:old.jsonl", stage="replay"), said(cut=True), said(record="good")])
    assert await replay_letters(settings, None, everything=True, stage=None, again=False) == 1
    told = capsys.readouterr()
    assert "0 not replayed: it is line 7 of an archive" in told.err
    assert "1 not replayed: its record was too large" in told.err
    assert [m.value for m in await everything_on(bus, Topic.ARTICLES)] == [b"good"]


async def test_one_letter_or_all_must_be_said(settings: Settings, bus: Bus) -> None:
    for place, everything, stage in [(None, False, None), ("1", True, None), ("1", False, "infer")]:
        with pytest.raises(SettingsError, match="--all"):
            await replay_letters(settings, place, everything=everything, stage=stage, again=False)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, None),
        ({"encoding": "base64", "record": base64.b64encode(b"\xff").decode()}, None),
        ({"key": None}, None),
        ({"topic": "commands", "partition": 0}, None),
        ({"topic": "commands", "partition": 0, "key": None}, "its key was not kept"),
        ({"topic": "dead-letters"}, "no topic"),
        ({"topic": "tidings"}, "no topic tidings"),
        ({"partition": 2}, "partitions 0 to 1 now, and it came from 2"),
        ({"cut": True}, "too large"),
        ({"encoding": "base64", "record": "%%%"}, "base64"),
        ({"topic": "alerts", "stage": "notify", "error": "TryError: gone"}, "does not say to whom"),
        ({"topic": "alerts", "stage": "notify", "error": "SchemaError: at: Field required"}, None),
        ({"topic": "alerts", "stage": "notify", "error": "TooLargeError: a record of 9 bytes"}, None),
        ({"topic": "feed:bbc", "stage": "ingest"}, "not an article"),
        ({"topic": "feed:bbc", "stage": "ingest", "cut": True}, "too large"),
        ({"topic": "feed:bbc", "stage": "ingest", "record": "%", "encoding": "base64"}, "not an article"),
        ({"topic": "feed:bbc", "stage": "alert"}, "no topic feed:bbc"),
    ],
)
def test_what_keeps_a_letter_from_being_put_back(fields: dict, why: str | None) -> None:
    told = why_not(letter(**fields), PARTITIONS)
    assert (told is None) == (why is None)
    if why is not None:
        assert why in (told or "")


async def test_an_old_word_on_a_topic_of_last_words_is_not_put_back_over_a_newer_one(bus: Bus) -> None:
    async with bus.publisher("feeds") as publisher:
        for value in (b"old", b"new"):
            await publisher.publish([Outgoing(Topic.FEEDS, "bbc", value, 0)], {})
    old = Letter(0, 3, said(topic="feeds", partition=0, offset=0, key="bbc", stage="ingest", record="old"))
    new = Letter(0, 4, old.said.model_copy(update={"offset": 1, "record": "new"}))
    newer = await overtaken(bus, [old, new])
    assert newer == {"3": "feeds[0]@1"}
    decided = replay([old, new], {}, PARTITIONS, newer, NOW)
    assert decided.done == (new,)
    assert "a newer record of bbc has come since, feeds[0]@1" in decided.refused[0][1]
    assert replay([old], {}, PARTITIONS, newer, NOW, again=True).done == (old,)


def test_a_record_of_which_two_groups_have_a_letter_goes_back_once() -> None:
    twins = [letter(3, topic="commands", partition=0, stage=stage) for stage in ("watchlist", "history")]
    twins[1] = Letter(0, 4, twins[1].said)
    at_once = replay(twins, {}, PARTITIONS, {}, NOW)
    assert (at_once.done, at_once.before) == ((twins[0],), (twins[1],))
    state = {key: value for key, value in at_once.state.items() if value is not None}
    assert replay([twins[1]], state, PARTITIONS, {}, NOW).before == (twins[1],)
    assert len(replay(twins, state, PARTITIONS, {}, NOW, again=True).results) == 1


async def test_what_the_store_missed_is_written_to_it_and_told_to_no_other_reader(
    bus: Bus, post: Post, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    record = alert()
    missed = said(
        stage="sink-alerts", topic="alerts", record=record.to_bytes().decode(), error="OperationalError: locked"
    )
    await post([missed, said(stage="sink-alerts", topic="alerts", record="{}")])
    assert await replay_letters(settings, "0", everything=False, stage=None, again=False) == 1
    assert "0 not replayed" in capsys.readouterr().err
    assert not (settings.data / "store.sqlite").exists(), "a store that is not there is not made"

    Store.open(settings).close()
    assert await replay_letters(settings, None, everything=True, stage=None, again=False) == 1
    told = capsys.readouterr()
    assert "0 written to the store" in told.out
    assert "1 not replayed: SchemaError" in told.err
    with Store.open(settings, read_only=True) as store:
        assert [row.id for row in store.alerts()] == [record.id]
    assert await everything_on(bus, Topic.ALERTS) == []


def test_notes_on_letters_that_are_gone_are_dropped() -> None:
    done = replay([letter(3, offset=1), letter(8, on=1, offset=2)], {}, PARTITIONS, {}, NOW)
    state = {key: value for key, value in done.state.items() if value is not None}
    assert set(replays(state)) == {"3", "1@8"}
    later = replay([letter(9, offset=3)], state, PARTITIONS, {}, NOW, begin=(5, 8))
    assert later.state == {"replayed:3": None, "replayed:9": later.state["replayed:9"]}


@pytest.mark.parametrize("read", ['{"a":1,"a":2,"n":1e999,\n"big":1234567890123456789012.0}', "{ \x1b[2J"])
async def test_a_record_is_shown_as_it_was_read(
    bus: Bus, post: Post, settings: Settings, capsys: pytest.CaptureFixture[str], read: str
) -> None:
    await post([said(record=read)])
    assert await show(settings, "0", json=False) == 0
    assert capsys.readouterr().out.endswith("\n\n" + read.replace("\x1b", r"\x1b") + "\n")


async def test_the_place_that_show_takes_is_never_cut(
    bus: Bus, post: Post, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    error = "SchemaError: analyses[3]@1234567: at: Field required (and 12 more) " + "x" * 300
    long = said(stage="sink-analyses", topic="analyses", partition=3, offset=123_456_789_012, error=error)
    await post([long] * 1_001)
    assert await show_list(settings, None, 2, json=False) == 0
    told = capsys.readouterr().out
    assert [line.split()[0] for line in told.splitlines() if line.startswith(("9", "1"))] == ["999", "1000"]
    await show_list(settings, "\\[/x]", 2, json=False)
    assert capsys.readouterr().out == "No dead letters of \\[/x].\n"


@pytest.mark.parametrize(("place", "again", "sent"), [(None, False, 1), (None, True, 2), ("0", False, 1)])
async def test_of_several_letters_only_young_notifications_are_sent_unless_it_is_asked_for(
    bus: Bus,
    post: Post,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    place: str | None,
    again: bool,
    sent: int,
) -> None:
    now = datetime.now(UTC)
    with receiving() as receiver:
        settings = Settings.model_validate(
            {"data": tmp_path, "notify": {"webhooks": [receiver.url], "max_age_s": 3_600, "attempts": 1}}
        )
        (way,) = NotifyStage(settings.notify).receivers
        alerts = [alert("old", at=now - timedelta(hours=2)), alert("young", at=now - timedelta(minutes=2))]
        await post(
            [
                said(stage="notify", topic="alerts", offset=n, record=one.to_bytes().decode(), receiver=way)
                for n, one in enumerate(alerts)
            ],
        )
        code = await replay_letters(settings, place, everything=place is None, stage=None, again=again)
        assert len(receiver.got) == sent
    told = capsys.readouterr()
    if place is None and not again:
        assert code == 1
        assert "1 delivered" in told.out
        assert "0 not replayed: its alert is of" in told.err
        assert "notify.max_age_s (3600 s); --again, or naming this one letter, delivers it" in told.err
    else:
        assert code == 0
        assert "0 delivered" in told.out


async def test_the_work_of_many_letters_is_noted_without_reading_all_notes_for_each(
    bus: Bus, post: Post, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(bus)

    @asynccontextmanager
    async def counted(_: Settings):
        yield counting

    monkeypatch.setattr(dead_letters, "opened_bus", counted)
    Store.open(settings).close()
    record = alert().to_bytes().decode()
    await post([said(stage="sink-alerts", topic="alerts", offset=n, record=record) for n in range(200)])
    assert await replay_letters(settings, None, everything=True, stage=None, again=False) == 0
    assert len(replays(await bus.publisher_state(dead_letters.PUBLISHER))) == 200
    assert counting.read_notes < 20


async def test_work_that_was_done_is_noted_also_where_the_rest_is_cut_short(bus: Bus, settings: Settings) -> None:
    letters = [letter(n, stage="sink-alerts", topic="alerts") for n in range(3)]

    class Interrupted:
        async def run(self, one: Letter) -> str | None:
            if one.place == "2":
                raise asyncio.CancelledError
            return None

    with pytest.raises(asyncio.CancelledError):
        await dead_letters._replay(bus, Interrupted(), letters, (), again=False)
    assert set(replays(await bus.publisher_state(dead_letters.PUBLISHER))) == {"0", "1"}
