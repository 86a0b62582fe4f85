"""Dead letters are found without reading the whole topic, and their records are put back once each."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fictional import alert
from webhooks import running_webhook_server

from riskwire.bus import Bus, Message, Outgoing
from riskwire.cli.dead_letters import list_dead_letters, replay_dead_letters, show_dead_letter
from riskwire.dead_letters.reading import (
    StoredDeadLetter,
    all_dead_letters,
    find_dead_letter,
    newer_records,
    newest_dead_letters,
)
from riskwire.dead_letters.replay import PUBLISHER, decide_replay, replay_obstacle, replay_times
from riskwire.dead_letters.replayer import Replayer
from riskwire.errors import SchemaError, SettingsError
from riskwire.notify import NotifyStage
from riskwire.pipeline import Topic
from riskwire.records import DeadLetter
from riskwire.settings import Settings
from riskwire.stage import dead_letter
from riskwire.store import Store

Publish = Callable[[Iterable[DeadLetter]], Awaitable[None]]

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PARTITIONS = {str(topic): 2 for topic in Topic}


def letter(**fields: object) -> DeadLetter:
    """Returns a dead letter of the stage infer, for the record `{}` read from articles[1]@7. `fields` override it."""
    defaults = {"stage": "infer", "topic": "articles", "partition": 1, "offset": 7, "key": "k", "at": NOW}
    return DeadLetter.model_validate(defaults | {"error": "SchemaError: no", "record": "{}"} | fields)


def stored_letter(stored_offset: int = 3, stored_partition: int = 0, **fields: object) -> StoredDeadLetter:
    """Returns a dead letter as stored on the topic `dead-letters`, at this offset and partition; see `letter`."""
    return StoredDeadLetter(stored_partition, stored_offset, letter(**fields))


async def messages_of(bus: Bus, topic: Topic) -> list[Message]:
    """Returns the records of a topic, partition by partition."""
    return [
        message for partition in range(bus.partitions(topic)) for message in await bus.read(topic, partition, 0, 1_000)
    ]


async def replay_one(settings: Settings, place: str, *, again: bool = False) -> int:
    return await replay_dead_letters(settings, place, every=False, stage=None, again=again)


async def replay_all(settings: Settings, *, stage: str | None = None, again: bool = False) -> int:
    return await replay_dead_letters(settings, None, every=True, stage=stage, again=again)


class CountingBus:
    """A bus that counts the records and states read from it."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.records_read = 0
        self.states_read = 0

    def __getattr__(self, name: str):
        return getattr(self.bus, name)

    async def read(self, *args):
        """Reads from the bus, and adds the number of records to `records_read`."""
        messages = await self.bus.read(*args)
        self.records_read += len(messages)
        return messages

    async def publisher_state(self, name):
        self.states_read += 1
        return await self.bus.publisher_state(name)


async def test_the_newest_dead_letters_are_found_without_reading_all(bus: Bus, publish: Publish) -> None:
    """Of 3,000 dead letters the newest four are returned, oldest first, by reading fewer than 100."""
    await publish([letter(offset=offset) for offset in range(3_000)])
    counting = CountingBus(bus)
    newest = await newest_dead_letters(counting, 4)
    assert [stored.letter.offset for stored in newest] == [2996, 2997, 2998, 2999]
    assert counting.records_read < 100


async def test_the_dead_letters_of_a_stage_are_found_far_back(bus: Bus, publish: Publish) -> None:
    """The only dead letter of the stage is the oldest of 501. Its place is its offset, "0"."""
    await publish([letter(stage="alert", offset=1), *(letter(offset=offset) for offset in range(500))])
    matching = await newest_dead_letters(bus, 20, lambda stored: stored.letter.stage == "alert")
    assert [stored.place for stored in matching] == ["0"]


async def test_a_dead_letter_is_found_by_its_place_or_by_the_source_of_its_record(bus: Bus, publish: Publish) -> None:
    """A place is `offset`, `partition@offset` or `topic[partition]@offset`.

    With another topic than `dead-letters` it is the source of the record, whose newest dead letter counts.
    """
    await publish([letter(offset=1), letter(offset=2), letter(offset=2, error="the second time")])
    for place in ("1", "0@1", "dead-letters[0]@1", " 1 "):
        assert (await find_dead_letter(bus, place)).letter.error == "SchemaError: no"
    assert (await find_dead_letter(bus, "articles[1]@2")).letter.error == "the second time"
    for place, message in {
        "9": "there is no dead letter",
        "7@0": "there is no dead letter",
        "9999999999999999999": "there is no dead letter",
        "9" * 5_000: "not the place",
        f"{'9' * 5_000}@1": "not the place",
        f"articles[{'9' * 5_000}]@1": "not the place",
        f"articles[1]@{'9' * 5_000}": "not the place",
        "articles[1]@99": "there is no dead letter",
        "nonsense": "not the place",
        "-1": "not the place",
    }.items():
        with pytest.raises(SettingsError, match=message):
            await find_dead_letter(bus, place)


async def test_records_that_are_not_dead_letters_are_left_out(bus: Bus, publish: Publish) -> None:
    """The record at place 0 is no JSON; reading the newest and reading all return only the dead letter at place 1."""
    async with bus.publisher("other") as publisher:
        await publisher.publish([Outgoing(Topic.DEAD_LETTERS, None, b"\xff{", 0)], {})
    await publish([letter()])
    assert [stored.place for stored in await newest_dead_letters(bus, 5)] == ["1"]
    assert [stored.place async for chunk in all_dead_letters(bus) for stored in chunk] == ["1"]


@pytest.mark.parametrize(
    "value",
    [b'{"half": ', "Zürich \u2028 \x00".encode(), b"\xff\xfe not text", b""],
    ids=["half a record", "unusual text", "not text", "empty"],
)
async def test_a_record_is_put_back_unchanged_with_its_key_and_once(bus: Bus, settings: Settings, value: bytes) -> None:
    """The second replay puts nothing back and succeeds too (exit code 0); with `again` it does put the record back."""
    source = Message("articles", 1, 7, "the-key", value)
    async with bus.publisher("stage") as publisher:
        await publisher.publish([dead_letter("infer", source, SchemaError("no"))], {})
    (place,) = [stored.place for stored in await newest_dead_letters(bus, 1)]
    assert await replay_one(settings, place) == 0
    assert await replay_one(settings, place) == 0
    (message,) = await messages_of(bus, Topic.ARTICLES)
    assert (message.partition, message.key, message.value) == (1, "the-key", value)
    assert await replay_one(settings, place, again=True) == 0
    assert len(await messages_of(bus, Topic.ARTICLES)) == 2


async def test_the_dead_letters_of_one_stage_are_replayed_in_order(
    bus: Bus, publish: Publish, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 300 dead letters, the 150 of infer (odd offsets) are replayed first, then those of alert with `--all`."""
    await publish(
        [letter(offset=offset, record=str(offset), stage="infer" if offset % 2 else "alert") for offset in range(300)]
    )
    assert await replay_all(settings, stage="infer") == 0
    values = [message.value for message in await messages_of(bus, Topic.ARTICLES)]
    assert values == [b"%d" % offset for offset in range(1, 300, 2)]
    assert "150 replayed, 0 replayed before" in capsys.readouterr().out
    assert await replay_all(settings) == 0
    assert "150 replayed, 150 replayed before" in capsys.readouterr().out
    values = [message.value for message in await messages_of(bus, Topic.ARTICLES)]
    assert len(values) == len(set(values)) == 300


async def test_a_dead_letter_that_cannot_be_replayed_names_the_obstacle_and_the_others_are_replayed(
    bus: Bus, publish: Publish, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The dead letters at places 0 and 1 have an obstacle, that at 2 has none. The exit code is 1."""
    await publish([letter(topic="archive:old.jsonl", stage="replay"), letter(cut=True), letter(record="good")])
    assert await replay_all(settings) == 1
    output = capsys.readouterr()
    assert "0 not replayed: it is line 7 of an archive" in output.err
    assert "1 not replayed: its record was too large" in output.err
    assert [message.value for message in await messages_of(bus, Topic.ARTICLES)] == [b"good"]


async def test_replay_requires_a_place_or_all(settings: Settings, bus: Bus) -> None:
    """A place or `--all` (`every`), not both; a stage only with `--all`."""
    for place, every, stage in [(None, False, None), ("1", True, None), ("1", False, "infer")]:
        with pytest.raises(SettingsError, match="--all"):
            await replay_dead_letters(settings, place, every=every, stage=stage, again=False)


@pytest.mark.parametrize(
    ("fields", "obstacle"),
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
        ({"topic": "alerts", "stage": "notify", "error": "AttemptError: gone"}, "does not name its receiver"),
        ({"topic": "alerts", "stage": "notify", "error": "SchemaError: at: Field required"}, None),
        ({"topic": "alerts", "stage": "notify", "error": "TooLargeError: a record of 9 bytes"}, None),
        ({"topic": "feed:bbc", "stage": "ingest"}, "not an article"),
        ({"topic": "feed:bbc", "stage": "ingest", "cut": True}, "too large"),
        ({"topic": "feed:bbc", "stage": "ingest", "record": "%", "encoding": "base64"}, "not an article"),
        ({"topic": "feed:bbc", "stage": "alert"}, "no topic feed:bbc"),
    ],
)
def test_the_obstacle_to_a_replay_is_named(fields: dict, obstacle: str | None) -> None:
    """Checks one dead letter without a bus.

    Args:
        fields: how it differs from the one of `letter`, which can be replayed.
        obstacle: a part of the reason why it cannot be replayed; None if it can.
    """
    actual = replay_obstacle(stored_letter(**fields), PARTITIONS)
    assert (actual is None) == (obstacle is None)
    assert (obstacle or "") in (actual or "")


async def test_a_record_of_a_compacted_topic_is_not_put_back_over_a_newer_one(bus: Bus) -> None:
    """On the compacted topic `feeds` only the newest record of a key counts.

    The dead letter of the older record is refused, with the place of the newer record, unless `again` is set.
    """
    async with bus.publisher("feeds") as publisher:
        for value in (b"old", b"new"):
            await publisher.publish([Outgoing(Topic.FEEDS, "bbc", value, 0)], {})
    old = stored_letter(3, topic="feeds", partition=0, offset=0, key="bbc", stage="ingest", record="old")
    new = StoredDeadLetter(0, 4, old.letter.model_copy(update={"offset": 1, "record": "new"}))
    newer = await newer_records(bus, [old, new])
    assert newer == {"3": "feeds[0]@1"}
    replay = decide_replay([old, new], {}, PARTITIONS, newer, NOW)
    assert replay.replayed == (new,)
    assert "there is a newer record of bbc, feeds[0]@1" in replay.refused[0][1]
    assert decide_replay([old], {}, PARTITIONS, newer, NOW, again=True).replayed == (old,)


def test_a_record_with_dead_letters_of_two_groups_is_put_back_once() -> None:
    """Two stages each wrote a dead letter of one record of `commands`.

    Only the first puts it back; the second counts as replayed before, also in a later replay and with `again`.
    """
    twins = [stored_letter(3, topic="commands", partition=0, stage=stage) for stage in ("watchlist", "history")]
    twins[1] = StoredDeadLetter(0, 4, twins[1].letter)
    replay = decide_replay(twins, {}, PARTITIONS, {}, NOW)
    assert (replay.replayed, replay.replayed_before) == ((twins[0],), (twins[1],))
    state = {key: value for key, value in replay.state.items() if value is not None}
    assert decide_replay([twins[1]], state, PARTITIONS, {}, NOW).replayed_before == (twins[1],)
    assert len(decide_replay(twins, state, PARTITIONS, {}, NOW, again=True).results) == 1


async def test_a_record_that_the_store_missed_is_written_to_it_and_not_published_again(
    bus: Bus, publish: Publish, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Place 0 has an alert that the sink could not write, place 1 a record that is no alert.

    Without a store the replay fails. With one, the first is written to the store, and the second stays refused.
    """
    record = alert()
    missed = letter(
        stage="sink-alerts", topic="alerts", record=record.to_bytes().decode(), error="OperationalError: locked"
    )
    await publish([missed, letter(stage="sink-alerts", topic="alerts", record="{}")])
    assert await replay_one(settings, "0") == 1
    assert "0 not replayed" in capsys.readouterr().err
    assert not (settings.data / "store.sqlite").exists(), "no empty store is created"

    Store.open(settings).close()
    assert await replay_all(settings) == 1
    output = capsys.readouterr()
    assert "0 written to the store" in output.out
    assert "1 not replayed: SchemaError" in output.err
    with Store.open(settings, read_only=True) as store:
        assert [row.id for row in store.alerts()] == [record.id]
    assert await messages_of(bus, Topic.ALERTS) == []


def test_the_replay_times_of_deleted_dead_letters_are_dropped() -> None:
    """The state of the replays has the time by place: "3" on partition 0, and "1@8", offset 8 of partition 1.

    Later partition 0 begins at offset 5, so the entry of "3" is deleted; partition 1 begins at 8 and keeps its entry.
    """
    replay = decide_replay([stored_letter(3, offset=1), stored_letter(8, 1, offset=2)], {}, PARTITIONS, {}, NOW)
    state = {key: value for key, value in replay.state.items() if value is not None}
    assert set(replay_times(state)) == {"3", "1@8"}
    later = decide_replay([stored_letter(9, offset=3)], state, PARTITIONS, {}, NOW, first_offsets=(5, 8))
    assert later.state == {"replayed:3": None, "replayed:9": later.state["replayed:9"]}


@pytest.mark.parametrize("record", ['{"a":1,"a":2,"n":1e999,\n"big":1234567890123456789012.0}', "{ \x1b[2J"])
async def test_a_record_is_shown_unchanged_but_for_control_characters(
    bus: Bus, publish: Publish, settings: Settings, capsys: pytest.CaptureFixture[str], record: str
) -> None:
    """Keys that occur twice, large numbers and broken JSON are printed as they are; ESC is printed as an escape."""
    await publish([letter(record=record)])
    assert await show_dead_letter(settings, "0", json=False) == 0
    assert capsys.readouterr().out.endswith("\n\n" + record.replace("\x1b", r"\x1b") + "\n")


async def test_places_are_never_cut_in_the_list(
    bus: Bus, publish: Publish, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a terminal of 80 columns, the places 999 and 1000 of the newest two dead letters are printed whole.

    The message about a stage without dead letters prints its name literally, although it looks like markup.
    """
    monkeypatch.setenv("COLUMNS", "80")
    error = "SchemaError: analyses[3]@1234567: at: Field required (and 12 more) " + "x" * 300
    long = letter(stage="sink-analyses", topic="analyses", partition=3, offset=123_456_789_012, error=error)
    await publish([long] * 1_001)
    assert await list_dead_letters(settings, None, 2, json=False) == 0
    output = capsys.readouterr().out
    assert [line.split()[0] for line in output.splitlines() if line.startswith(("9", "1"))] == ["999", "1000"]
    await list_dead_letters(settings, "\\[/x]", 2, json=False)
    assert capsys.readouterr().out == "No dead letters of \\[/x].\n"


@pytest.mark.parametrize(
    ("place", "again", "delivered"),
    [(None, False, 1), (None, True, 2), ("0", False, 1)],
    ids=["all", "all again", "one place"],
)
async def test_old_notifications_are_delivered_only_on_explicit_request(
    bus: Bus,
    publish: Publish,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    place: str | None,
    again: bool,
    delivered: int,
) -> None:
    """Place 0 has an alert of two hours ago, place 1 one of two minutes ago; `notify.max_age_s` is an hour.

    Args:
        place: the one dead letter to replay, or None for all.
        again: the option `--again`. It or a place makes the request for an old alert explicit.
        delivered: the number of webhooks that the server gets.
    """
    now = datetime.now(UTC)
    with running_webhook_server() as server:
        settings = Settings.model_validate(
            {"data": tmp_path, "notify": {"webhooks": [server.url], "max_age_s": 3_600, "attempts": 1}}
        )
        (receiver,) = NotifyStage(settings.notify).receivers
        alerts = [alert("old", at=now - timedelta(hours=2)), alert("young", at=now - timedelta(minutes=2))]
        await publish(
            [
                letter(
                    stage="notify", topic="alerts", offset=offset, record=record.to_bytes().decode(), receiver=receiver
                )
                for offset, record in enumerate(alerts)
            ],
        )
        code = await replay_dead_letters(settings, place, every=place is None, stage=None, again=again)
        assert len(server.requests) == delivered
    output = capsys.readouterr()
    if place is None and not again:
        assert code == 1
        assert "1 delivered" in output.out
        assert "0 not replayed: its alert is of" in output.err
        assert "notify.max_age_s (3600 s); --again, or the place of this one dead letter, delivers it" in output.err
    else:
        assert code == 0
        assert "0 delivered" in output.out


async def test_many_redeliveries_are_recorded_with_few_reads_of_the_state(
    bus: Bus, publish: Publish, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store gets 200 alerts that a sink could not write. The state is read fewer than 20 times, not 200."""
    counting = CountingBus(bus)

    @asynccontextmanager
    async def open_counting_bus(_: Settings):
        yield counting

    monkeypatch.setattr("riskwire.cli.data.open_existing_bus", open_counting_bus)
    Store.open(settings).close()
    record = alert().to_bytes().decode()
    await publish([letter(stage="sink-alerts", topic="alerts", offset=offset, record=record) for offset in range(200)])
    assert await replay_all(settings) == 0
    assert len(replay_times(await bus.publisher_state(PUBLISHER))) == 200
    assert counting.states_read < 20


async def test_finished_redeliveries_are_recorded_when_a_replay_is_cancelled(bus: Bus, settings: Settings) -> None:
    """The dead letters at places 0 and 1 are redelivered; during the third the replay is cancelled."""
    dead = [stored_letter(offset, stage="sink-alerts", topic="alerts") for offset in range(3)]

    class CancelledRedelivery:
        async def redeliver(self, stored: StoredDeadLetter) -> str | None:
            """Delivers every dead letter (returns None) except the one at place 2, where the replay is cancelled."""
            if stored.place == "2":
                raise asyncio.CancelledError
            return None

    with pytest.raises(asyncio.CancelledError):
        await Replayer(bus, CancelledRedelivery(), (), again=False).replay(dead)
    assert set(replay_times(await bus.publisher_state(PUBLISHER))) == {"0", "1"}
