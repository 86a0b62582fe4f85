"""The sink: batches into the store, records that cannot be read to the dead letters."""

from __future__ import annotations

from types import ModuleType

import pytest

from riskwire.bus import Message
from riskwire.errors import StoreError
from riskwire.pipeline import Topic
from riskwire.records import DeadLetter, Mark
from riskwire.settings import Settings
from riskwire.store import Store, sink_stages


def test_there_is_one_sink_for_each_topic_that_is_kept(store: Store) -> None:
    assert {stage.spec.name: str(stage.spec.reads) for stage in sink_stages(store)} == {
        "sink-analyses": "analyses",
        "sink-signals": "signals",
        "sink-trends": "trends",
        "sink-alerts": "alerts",
        "sink-commands": "commands",
        "sink-dead-letters": "dead-letters",
    }


async def test_a_world_of_records_ends_up_in_the_store(store: Store, news: ModuleType) -> None:
    world = news.world(days=3)
    for stage in sink_stages(store):
        if stage.spec.reads in world:
            step = await stage.open(0, {}).process(news.messages(stage.spec.reads, world[stage.spec.reads]))
            assert step.results == []
            assert step.state == {}

    counts = store.counts()
    assert counts.signals == len(world[Topic.SIGNALS])
    assert counts.articles == len(world[Topic.ANALYSES])
    assert counts.trends == len(world[Topic.TRENDS])
    assert counts.alerts == 3
    assert counts.open_alerts == 2


async def test_a_batch_delivered_again_changes_nothing(store: Store, news: ModuleType) -> None:
    (stage,) = [stage for stage in sink_stages(store) if stage.spec.reads is Topic.SIGNALS]
    batch = news.messages(Topic.SIGNALS, [news.signal("a1"), news.signal("a2")])
    await stage.open(0, {}).process(batch)
    before = (store.counts(), store.targets(), store.last_change())

    await stage.open(0, {}).process(batch)

    assert (store.counts(), store.targets(), store.last_change()) == before


async def test_a_bad_record_goes_to_the_dead_letters_and_the_rest_is_written(store: Store, news: ModuleType) -> None:
    (stage,) = [stage for stage in sink_stages(store) if stage.spec.reads is Topic.SIGNALS]
    good = news.messages(Topic.SIGNALS, [news.signal("a1"), Mark(from_=0, seen_at=news.NOON)])
    bad = Message(Topic.SIGNALS, 3, 1712, "k", b'{"kind":"signal","target":7}')

    step = await stage.open(0, {}).process([good[0], bad, good[1]])

    (out,) = step.results
    letter = DeadLetter.model_validate_json(out.value)
    assert out.topic == Topic.DEAD_LETTERS
    assert (letter.stage, letter.topic, letter.partition, letter.offset) == ("sink-signals", "signals", 3, 1712)
    assert store.counts().signals == 1


async def test_an_unreadable_dead_letter_is_not_made_a_dead_letter_again(store: Store) -> None:
    (stage,) = [stage for stage in sink_stages(store) if stage.spec.reads is Topic.DEAD_LETTERS]
    step = await stage.open(0, {}).process([Message(Topic.DEAD_LETTERS, 0, 0, None, b"\xff")])
    assert step.results == []


async def test_a_store_that_fails_stops_the_sink(settings: Settings, news: ModuleType) -> None:
    Store.open(settings).close()
    with Store.open(settings, read_only=True) as store:
        (stage,) = [stage for stage in sink_stages(store) if stage.spec.reads is Topic.ALERTS]
        with pytest.raises(StoreError):
            await stage.open(0, {}).process(news.messages(Topic.ALERTS, [news.alert()]))
