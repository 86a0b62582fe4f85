"""The infer stage: each article once, signals before the mark, and nothing that depends on where a batch ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pytest
from turns import turns_of_others

from riskwire.bus import Message, Outgoing
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.analysis import summarise, target_sentiments, topic_target
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.stage import InferStage
from riskwire.pipeline import Topic
from riskwire.records import SIGNALS, Analysis, Article, DeadLetter, Mark, Signal, Tick
from riskwire.settings import Settings

PARTITIONS = 3


def article(name: str = "a", **fields: object) -> Article:
    return Article.model_validate(
        {
            "id": name,
            "version": 1,
            "url": f"https://example.com/{name}",
            "source": "wire",
            "title": "Acme Corp plunges on fraud probe",
            "text": "DETROIT (Reuters) - Acme Corp said it is in crisis in Ireland. Globex Inc gains.",
            "language": "en",
            "published_at": "2026-01-05T10:00:00Z",
            "seen_at": "2026-01-05T10:00:07Z",
            **fields,
        }
    )


def tick(second: int) -> Tick:
    return Tick.model_validate({"seen_at": f"2026-01-05T10:01:{second:02d}Z"})


def messages(*records: Article | Tick | bytes) -> list[Message]:
    return [
        Message("articles", 1, at, None, one if isinstance(one, bytes) else one.to_bytes())
        for at, one in enumerate(records)
    ]


def of(results: Sequence[Outgoing], topic: Topic) -> list[Outgoing]:
    return [one for one in results if one.topic == topic]


def signals(results: Sequence[Outgoing]) -> list[Signal]:
    records = [SIGNALS.validate_json(one.value) for one in of(results, Topic.SIGNALS)]
    return [one for one in records if isinstance(one, Signal)]


def marks(results: Sequence[Outgoing]) -> list[tuple[int | None, Mark]]:
    records = [(one.partition, SIGNALS.validate_json(one.value)) for one in of(results, Topic.SIGNALS)]
    return [(at, one) for at, one in records if isinstance(one, Mark)]


def analyses(results: Sequence[Outgoing]) -> list[Analysis]:
    return [Analysis.model_validate_json(one.value) for one in of(results, Topic.ANALYSES)]


@pytest.fixture
async def stage(tiny_bundle: Path) -> AsyncIterator[InferStage]:
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        yield InferStage(engine, Linker(), Settings(), signal_partitions=PARTITIONS)


async def test_an_article_becomes_an_analysis_signals_and_a_mark_on_every_partition(stage: InferStage) -> None:
    step = await stage.open(1, {}).process(messages(article()))
    (analysis,) = analyses(step.results)
    assert (analysis.status, analysis.bundle) == ("ok", "tiny@1.0.0")
    assert analysis.score is not None
    assert analysis.score < -0.5
    content = analysis.article.title + "\n" + article().text
    assert [content[one.start : one.end] for one in analysis.mentions] == [one.text for one in analysis.mentions]
    targets = {one.target: one for one in signals(step.results)}
    assert {"entity:name:acme", "entity:name:globex", "entity:name:ireland", "market"} <= set(targets)
    assert "entity:name:detroit" not in targets
    assert "entity:name:reuters" not in targets
    acme, globex = targets["entity:name:acme"], targets["entity:name:globex"]
    assert acme.relevance == 1.0 > globex.relevance
    assert acme.sentiment.negative > 0.9
    assert globex.sentiment.positive > 0.9
    assert acme.evidence.text[acme.evidence.start : acme.evidence.end] == "Acme Corp"
    assert {one.story for one in targets.values()} == {analysis.story}
    assert [at for at, _ in marks(step.results)] == list(range(PARTITIONS))
    mark = marks(step.results)[0][1]
    assert (mark.from_, mark.stories) == (1, 1)
    assert mark.buckets == {int(article().seen_at.timestamp()) // 15 * 15: 1}
    assert max(at for at, one in enumerate(step.results) if one.partition is None) < min(
        at for at, one in enumerate(step.results) if one.partition is not None
    )


async def test_signals_go_to_the_partition_of_their_target_and_analyses_to_their_article_s(stage: InferStage) -> None:
    step = await stage.open(0, {}).process(messages(article("x")))
    for one in of(step.results, Topic.SIGNALS):
        record = SIGNALS.validate_json(one.value)
        assert one.key == (record.target if isinstance(record, Signal) else None)
    assert [one.key for one in of(step.results, Topic.ANALYSES)] == ["x"]


async def test_what_comes_of_articles_does_not_depend_on_where_batches_are_cut(stage: InferStage) -> None:
    records = [article(str(at), title=f"Acme Corp loss {at % 4}") for at in range(9)]
    records.insert(4, article("2", title="Acme Corp loss 2"))

    async def run(size: int) -> list[Outgoing]:
        task = stage.open(0, {})
        results: list[Outgoing] = []
        for at in range(0, len(records), size):
            results += (await task.process(messages(*records[at : at + size]))).results
        return [one for one in results if one.partition is None]

    assert await run(1) == await run(3) == await run(100)


async def test_a_repeat_is_dropped_also_after_a_restart_and_a_new_version_is_not(stage: InferStage) -> None:
    state: dict[str, bytes] = {}

    def commit(changes: Mapping[str, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value

    step = await stage.open(0, state).process(messages(article("a"), article("a"), article("b")))
    assert [one.article.id for one in analyses(step.results)] == ["a", "b"]
    commit(step.state)
    step = await stage.open(0, state).process(messages(article("b"), article("a", version=2)))
    assert [(one.article.id, one.article.version) for one in analyses(step.results)] == [("a", 2)]
    assert marks(step.results)[0][1].stories == 1
    assert set(step.state) == {"read/0"}


async def test_other_languages_and_empty_articles_are_stored_without_sentiment_and_signals(stage: InferStage) -> None:
    batch = messages(
        article("de", language="de"), article("none", language=None), article("void", title=" ", text="\n")
    )
    step = await stage.open(0, {}).process(batch)
    assert [(one.status, one.sentiment, one.story) for one in analyses(step.results)] == [
        ("unsupported", None, None),
        ("unsupported", None, None),
        ("empty", None, None),
    ]
    assert signals(step.results) == []
    assert marks(step.results)[0][1].stories == 0


async def test_backfill_is_read_but_does_not_count_as_news(stage: InferStage) -> None:
    step = await stage.open(0, {}).process(messages(article("old", backfill=True)))
    assert all(one.backfill for one in signals(step.results))
    assert (marks(step.results)[0][1].stories, marks(step.results)[0][1].buckets) == (0, {})


async def test_ticks_alone_tell_the_time_and_a_batch_without_time_tells_none(stage: InferStage) -> None:
    task = stage.open(0, {})
    step = await task.process(messages(tick(5), tick(9), tick(7)))
    assert {mark.seen_at for _, mark in marks(step.results)} == {tick(9).seen_at}
    assert len(step.results) == PARTITIONS
    assert step.state == {}
    step = await task.process(messages(b"not json"))
    assert [one.topic for one in step.results] == [Topic.DEAD_LETTERS]


async def test_a_bad_record_goes_to_the_dead_letters_and_the_rest_is_read(stage: InferStage) -> None:
    step = await stage.open(0, {}).process(messages(article("a"), b'{"kind":"article"}', article("b")))
    (letter,) = [DeadLetter.model_validate_json(one.value) for one in of(step.results, Topic.DEAD_LETTERS)]
    assert (letter.stage, letter.offset) == ("infer", 1)
    assert letter.error.startswith("SchemaError")
    assert [one.article.id for one in analyses(step.results)] == ["a", "b"]


async def test_with_a_watchlist_only_its_entities_are_followed_and_groups_take_the_worst(tiny_bundle: Path) -> None:
    watchlist = Watchlist(
        tuple(
            WatchedEntity.model_validate(one)
            for one in (
                {"id": "acme", "name": "Acme", "group": "makers"},
                {"id": "globex", "name": "Globex", "group": "makers"},
            )
        )
    )
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        stage = InferStage(engine, Linker(watchlist), Settings(), signal_partitions=1)
        step = await stage.open(0, {}).process(messages(article()))
    found = {one.target: one for one in signals(step.results)}
    assert {one for one in found if one.startswith("entity:")} == {"entity:acme", "entity:globex"}
    assert found["group:makers"].sentiment == found["entity:acme"].sentiment
    assert found["group:makers"].groups == found["entity:acme"].groups == ("makers",)


async def test_a_long_batch_lets_others_have_their_turn(stage: InferStage) -> None:
    """Twenty times while it links and writes, in short slices: so heartbeats and requests are answered meanwhile."""
    records = messages(*(article(str(at), text="Acme Corp gains. " * 1_000) for at in range(60)))
    assert await turns_of_others(stage, records) >= 20


def test_evidence_of_a_long_sentence_is_a_window_that_holds_the_span(marked: Callable[..., DocumentPrediction]) -> None:
    reading = marked("x " * 400 + "[ORG Acme Corp] fell" + " y" * 400)
    one = target_sentiments(reading, Linker().link(reading), summarise([reading], (), 0.5)[0], watched_only=False)[0]
    assert len(one.evidence.text) <= 600
    assert one.evidence.text[one.evidence.start : one.evidence.end] == "Acme Corp"


def test_a_speaker_s_mention_weighs_little(marked: Callable[..., DocumentPrediction]) -> None:
    reading = marked("[ORG Moody's] cuts [ORG Acme Corp]", sentiments=[(0.9, 0.1, 0.0)])
    found = {
        one.name: one.relevance
        for one in target_sentiments(
            reading, Linker().link(reading), summarise([reading], (), 0.5)[0], watched_only=False
        )
    }
    assert found["Acme Corp"] == 1.0
    assert found["Moody's Corporation"] == 0.2


def test_topic_targets_are_slugs() -> None:
    assert topic_target("M&A | Investments") == "topic:m-a-investments"
