"""The sink: it writes batches to the store, and unreadable records become dead letters."""

from __future__ import annotations

from types import ModuleType

import pytest

from riskwire.bus import Message
from riskwire.errors import StoreError
from riskwire.pipeline import Topic
from riskwire.records import DeadLetter, Mark
from riskwire.settings import Settings
from riskwire.store import Store, sink_stages


def test_each_stored_topic_has_one_sink(store: Store) -> None:
    assert {stage.spec.name: str(stage.spec.reads) for stage in sink_stages(store)} == {
        "sink-analyses": "analyses",
        "sink-signals": "signals",
        "sink-trends": "trends",
        "sink-alerts": "alerts",
        "sink-near-misses": "near-misses",
        "sink-commands": "commands",
        "sink-dead-letters": "dead-letters",
    }


async def test_records_of_every_topic_are_written_to_the_store(store: Store, news: ModuleType) -> None:
    """The sink stages write to the store alone: they publish nothing and have no state.

    The fictional news has three alerts, of which one is resolved.
    """
    records = news.records_by_topic(days=3)
    for stage in sink_stages(store):
        if stage.spec.reads in records:
            step = await stage.open(0, {}).process(news.messages(stage.spec.reads, records[stage.spec.reads]))
            assert step.results == []
            assert step.state == {}

    counts = store.counts()
    assert counts.signals == len(records[Topic.SIGNALS])
    assert counts.articles == len(records[Topic.ANALYSES])
    assert counts.trends == len(records[Topic.TRENDS])
    assert counts.alerts == 3
    assert counts.open_alerts == 2


async def test_a_repeated_batch_changes_nothing(store: Store, news: ModuleType) -> None:
    (stage,) = [stage for stage in sink_stages(store) if stage.spec.reads is Topic.SIGNALS]
    batch = news.messages(Topic.SIGNALS, [news.signal("a1"), news.signal("a2")])
    await stage.open(0, {}).process(batch)
    before = (store.counts(), store.targets(), store.last_change())

    await stage.open(0, {}).process(batch)

    assert (store.counts(), store.targets(), store.last_change()) == before


async def test_an_unreadable_record_becomes_a_dead_letter_and_the_others_are_written(
    store: Store, news: ModuleType
) -> None:
    """The batch has a signal, a record that is no signal, and a mark, which is read but not stored."""
    (stage,) = [stage for stage in sink_stages(store) if stage.spec.reads is Topic.SIGNALS]
    good = news.messages(Topic.SIGNALS, [news.signal("a1"), Mark(from_=0, seen_at=news.NOON)])
    bad = Message(Topic.SIGNALS, 3, 1712, "k", b'{"kind":"signal","target":7}')

    step = await stage.open(0, {}).process([good[0], bad, good[1]])

    (result,) = step.results
    dead_letter = DeadLetter.model_validate_json(result.value)
    assert result.topic == Topic.DEAD_LETTERS
    assert (dead_letter.stage, dead_letter.topic) == ("sink-signals", "signals")
    assert (dead_letter.partition, dead_letter.offset) == (3, 1712)
    assert store.counts().signals == 1


async def test_an_unreadable_dead_letter_is_dropped(store: Store) -> None:
    """The sink of dead letters writes no dead letter about a dead letter."""
    (stage,) = [stage for stage in sink_stages(store) if stage.spec.reads is Topic.DEAD_LETTERS]
    step = await stage.open(0, {}).process([Message(Topic.DEAD_LETTERS, 0, 0, None, b"\xff")])
    assert step.results == []


async def test_a_failing_store_raises_from_the_sink(settings: Settings, news: ModuleType) -> None:
    """The store is open for reading only, so that the write fails."""
    Store.open(settings).close()
    with Store.open(settings, read_only=True) as store:
        (stage,) = [stage for stage in sink_stages(store) if stage.spec.reads is Topic.ALERTS]
        with pytest.raises(StoreError):
            await stage.open(0, {}).process(news.messages(Topic.ALERTS, [news.alert()]))
