"""Dead letters are found without reading all of them, and go back where they came from, each once."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fictional import alert

from riskwire.bus import Bus, Message, Outgoing
from riskwire.bus.embedded import EmbeddedBus
from riskwire.commands.dead_letters import printable, replay_letters
from riskwire.dead_letters import Letter, every, find, newest, overtaken, replay, replays, why_not
from riskwire.errors import SchemaError, SettingsError
from riskwire.schemas import DeadLetter, Topic
from riskwire.settings import BusSettings, Settings
from riskwire.stage import dead_letter
from riskwire.store import Store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PARTITIONS = {str(topic): 2 for topic in Topic}


def said(**fields: object) -> DeadLetter:
    plain = {"stage": "infer", "topic": "articles", "partition": 1, "offset": 7, "key": "k", "at": NOW}
    return DeadLetter.model_validate(plain | {"error": "SchemaError: no", "record": "{}"} | fields)


def letter(at: int = 3, on: int = 0, **fields: object) -> Letter:
    return Letter(on, at, said(**fields))


@pytest.fixture
async def bus(tmp_path: Path):
    bus = await EmbeddedBus.open(tmp_path, BusSettings())
    yield bus
    await bus.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


async def post(bus: Bus, letters: list[DeadLetter]) -> None:
    async with bus.publisher("stage") as publisher:
        await publisher.publish([Outgoing(Topic.DEAD_LETTERS, None, one.to_bytes(), 0) for one in letters], {})


async def everything_on(bus: Bus, topic: Topic) -> list[Message]:
    return [m for p in range(bus.partitions(topic)) for m in await bus.read(topic, p, 0, 1_000)]


class Counting:
    """A bus that counts what is read of it."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.read_records = 0

    def __getattr__(self, name: str):
        return getattr(self.bus, name)

    async def read(self, *where):
        messages = await self.bus.read(*where)
        self.read_records += len(messages)
        return messages


async def test_the_newest_are_found_without_reading_all(bus: Bus) -> None:
    await post(bus, [said(offset=n) for n in range(3_000)])
    counting = Counting(bus)
    found = await newest(counting, 4)
    assert [one.said.offset for one in found] == [2996, 2997, 2998, 2999]
    assert counting.read_records < 100


async def test_those_of_a_stage_are_found_however_far_back_they_are(bus: Bus) -> None:
    await post(bus, [said(stage="alert", offset=1), *(said(offset=n) for n in range(500))])
    found = await newest(bus, 20, lambda one: one.said.stage == "alert")
    assert [one.place for one in found] == ["0"]


async def test_a_letter_is_found_by_its_place_or_by_where_its_record_came_from(bus: Bus) -> None:
    await post(bus, [said(offset=1), said(offset=2), said(offset=2, error="the second time")])
    for place in ("1", "0@1", "dead-letters[0]@1", " 1 "):
        assert (await find(bus, place)).said.error == "SchemaError: no"
    assert (await find(bus, "articles[1]@2")).said.error == "the second time"
    for place, why in {
        "9": "no dead letter is there",
        "7@0": "no dead letter is there",
        "99999999999999999999999": "no dead letter is there",
        "articles[1]@99": "no dead letter is there",
        "nonsense": "not the place",
        "-1": "not the place",
    }.items():
        with pytest.raises(SettingsError, match=why):
            await find(bus, place)


async def test_what_is_no_dead_letter_is_left_out(bus: Bus) -> None:
    async with bus.publisher("vandal") as publisher:
        await publisher.publish([Outgoing(Topic.DEAD_LETTERS, None, b"\xff{", 0)], {})
    await post(bus, [said()])
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
    bus: Bus, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await post(bus, [said(offset=n, record=str(n), stage="infer" if n % 2 else "alert") for n in range(300)])
    assert await replay_letters(settings, None, everything=True, stage="infer", again=False) == 0
    assert [m.value for m in await everything_on(bus, Topic.ARTICLES)] == [b"%d" % n for n in range(1, 300, 2)]
    assert "150 replayed, 0 had been before" in capsys.readouterr().out
    assert await replay_letters(settings, None, everything=True, stage=None, again=False) == 0
    assert "150 replayed, 150 had been before" in capsys.readouterr().out
    assert Counter(m.value for m in await everything_on(bus, Topic.ARTICLES)).most_common(1)[0][1] == 1


async def test_one_that_cannot_be_put_back_says_why_and_the_others_go(
    bus: Bus, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await post(bus, [said(topic="archive:old.jsonl", stage="replay"), said(cut=True), said(record="good")])
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
    bus: Bus, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    record = alert()
    missed = said(
        stage="sink-alerts", topic="alerts", record=record.to_bytes().decode(), error="OperationalError: locked"
    )
    await post(bus, [missed, said(stage="sink-alerts", topic="alerts", record="{}")])
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


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x1b[2Jb", r"a\x1b[2Jb"), ("x\ny", r"x\ny"), ("Zürich 株", "Zürich 株"), ("\u202e\x9b", r"\u202e\x9b")],
)
def test_what_came_from_outside_does_not_steer_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable("x\n\x07", lines=True) == "x\n\\x07"
