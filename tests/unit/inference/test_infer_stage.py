"""The infer stage: each article once, signals before the mark, and results independent of batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from event_loop_turns import count_other_turns
from state_changes import apply_changes
from structlog.testing import capture_logs

from riskwire.bus import Message, Outgoing
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.analysis import TargetSentiment, summarise, target_sentiments, topic_target
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.stage import InferStage
from riskwire.pipeline import Topic
from riskwire.records import SIGNALS, Analysis, Article, DeadLetter, Mark, Signal, Tick
from riskwire.settings import Settings

PARTITIONS = 3


def article(article_id: str = "a", **fields: object) -> Article:
    """Returns a valid article in English about two companies, with the given fields changed."""
    return Article.model_validate(
        {
            "id": article_id,
            "version": 1,
            "url": f"https://example.com/{article_id}",
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
    """Returns records of `articles`, partition 1, with offsets from 0."""
    return [
        Message("articles", 1, offset, None, record if isinstance(record, bytes) else record.to_bytes())
        for offset, record in enumerate(records)
    ]


def on_topic(results: Sequence[Outgoing], topic: Topic) -> list[Outgoing]:
    return [outgoing for outgoing in results if outgoing.topic == topic]


def signals(results: Sequence[Outgoing]) -> list[Signal]:
    records = [SIGNALS.validate_json(outgoing.value) for outgoing in on_topic(results, Topic.SIGNALS)]
    return [record for record in records if isinstance(record, Signal)]


def marks(results: Sequence[Outgoing]) -> list[tuple[int | None, Mark]]:
    """Returns the marks and their partitions."""
    records = [
        (outgoing.partition, SIGNALS.validate_json(outgoing.value)) for outgoing in on_topic(results, Topic.SIGNALS)
    ]
    return [(partition, record) for partition, record in records if isinstance(record, Mark)]


def analyses(results: Sequence[Outgoing]) -> list[Analysis]:
    return [Analysis.model_validate_json(outgoing.value) for outgoing in on_topic(results, Topic.ANALYSES)]


@pytest.fixture
async def stage(tiny_bundle: Path) -> AsyncIterator[InferStage]:
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        yield InferStage(engine, Linker(), Settings(), signal_partitions=PARTITIONS)


async def test_an_article_becomes_an_analysis_signals_and_a_mark_on_every_partition(stage: InferStage) -> None:
    """The article has bad news of Acme in the title and good news of Globex in the last sentence.

    Without a watchlist, companies and countries get signals, and so does the market. The place and the agency of the
    dateline "DETROIT (Reuters) -" do not. Offsets are into title, line break and text.
    """
    step = await stage.open(1, {}).process(messages(article()))
    (analysis,) = analyses(step.results)
    assert (analysis.status, analysis.bundle) == ("ok", "tiny@1.0.0")
    assert analysis.score is not None
    assert analysis.score < -0.5
    content = analysis.article.title + "\n" + article().text
    assert all(content[mention.start : mention.end] == mention.text for mention in analysis.mentions)
    by_target = {signal.target: signal for signal in signals(step.results)}
    assert {"entity:name:acme", "entity:name:globex", "entity:name:ireland", "market"} <= set(by_target)
    assert "entity:name:detroit" not in by_target
    assert "entity:name:reuters" not in by_target
    acme, globex = by_target["entity:name:acme"], by_target["entity:name:globex"]
    assert acme.relevance == 1.0 > globex.relevance
    assert acme.sentiment.negative > 0.9
    assert globex.sentiment.positive > 0.9
    assert acme.evidence.text[acme.evidence.start : acme.evidence.end] == "Acme Corp"
    assert {signal.story for signal in by_target.values()} == {analysis.story}


async def test_a_mark_counts_the_news_and_comes_after_the_signals(stage: InferStage) -> None:
    """A mark (with a fixed partition) has the number of news articles in all and by bucket, a time span of 15 s.

    `from_` is the partition of `articles`.
    """
    step = await stage.open(1, {}).process(messages(article()))
    assert [partition for partition, _ in marks(step.results)] == list(range(PARTITIONS))
    mark = marks(step.results)[0][1]
    assert (mark.from_, mark.stories) == (1, 1)
    assert mark.buckets == {int(article().seen_at.timestamp()) // 15 * 15: 1}
    is_mark = [outgoing.partition is not None for outgoing in step.results]
    assert is_mark == sorted(is_mark)


async def test_the_key_of_a_signal_is_its_target_and_the_key_of_an_analysis_its_article(stage: InferStage) -> None:
    """A mark has no key."""
    step = await stage.open(0, {}).process(messages(article("x")))
    for outgoing in on_topic(step.results, Topic.SIGNALS):
        record = SIGNALS.validate_json(outgoing.value)
        assert outgoing.key == (record.target if isinstance(record, Signal) else None)
    assert [outgoing.key for outgoing in on_topic(step.results, Topic.ANALYSES)] == ["x"]


async def test_the_results_of_articles_do_not_depend_on_batches(stage: InferStage) -> None:
    """Ten articles, one being a repeat, give the same records in batches of 1, 3 and all."""
    records = [article(str(number), title=f"Acme Corp loss {number % 4}") for number in range(9)]
    records.insert(4, article("2", title="Acme Corp loss 2"))

    async def run(batch_size: int) -> list[Outgoing]:
        """Returns the results without marks, which go to a fixed partition, for batches of this size."""
        task = stage.open(0, {})
        results: list[Outgoing] = []
        for start in range(0, len(records), batch_size):
            results += (await task.process(messages(*records[start : start + batch_size]))).results
        return [outgoing for outgoing in results if outgoing.partition is None]

    assert await run(1) == await run(3) == await run(100)


async def test_a_repeated_version_is_dropped_even_after_a_restart_but_not_a_new_version(stage: InferStage) -> None:
    """The state has the versions that were read, in blocks (`read/0`). The mark does not count a repeated one."""
    state: dict[str, bytes] = {}
    step = await stage.open(0, state).process(messages(article("a"), article("a"), article("b")))
    assert [analysis.article.id for analysis in analyses(step.results)] == ["a", "b"]
    apply_changes(state, step.state)
    step = await stage.open(0, state).process(messages(article("b"), article("a", version=2)))
    assert [(analysis.article.id, analysis.article.version) for analysis in analyses(step.results)] == [("a", 2)]
    assert marks(step.results)[0][1].stories == 1
    assert set(step.state) == {"read/0"}


async def test_articles_in_other_languages_and_empty_ones_get_no_sentiment_and_no_signals(stage: InferStage) -> None:
    """They get an analysis with a status that says why, and do not count as news in the mark."""
    batch = messages(
        article("german", language="de"),
        article("unknown", language=None, title="Acme Corp streicht 1.000 Stellen", text=""),
        article("empty", title=" ", text="\n"),
    )
    step = await stage.open(0, {}).process(batch)
    assert [(analysis.status, analysis.sentiment, analysis.story) for analysis in analyses(step.results)] == [
        ("unsupported", None, None),
        ("unsupported", None, None),
        ("empty", None, None),
    ]
    assert signals(step.results) == []
    assert marks(step.results)[0][1].stories == 0


async def test_a_short_article_of_unknown_language_is_read_if_its_words_are_the_bundles(stage: InferStage) -> None:
    """The bundle knows the word "plunges" of a headline whose names are in another language."""
    batch = messages(article("a", language=None, title="Société Générale plunges", text=""))
    step = await stage.open(0, {}).process(batch)
    assert [(analysis.status, analysis.article.language) for analysis in analyses(step.results)] == [("ok", None)]
    assert marks(step.results)[0][1].stories == 1


async def test_backfill_is_analysed_but_does_not_count_as_news(stage: InferStage) -> None:
    """Backfill was published long before it was seen. Its signals say so, and the mark counts 0 stories."""
    step = await stage.open(0, {}).process(messages(article("old", backfill=True)))
    assert all(signal.backfill for signal in signals(step.results))
    assert (marks(step.results)[0][1].stories, marks(step.results)[0][1].buckets) == (0, {})


async def test_ticks_alone_move_the_mark_and_a_batch_without_a_time_writes_none(stage: InferStage) -> None:
    """A tick carries only the time. The mark, one per partition of `signals`, has the newest time of the batch."""
    task = stage.open(0, {})
    step = await task.process(messages(tick(5), tick(9), tick(7)))
    assert {mark.seen_at for _, mark in marks(step.results)} == {tick(9).seen_at}
    assert len(step.results) == PARTITIONS
    assert step.state == {}
    step = await task.process(messages(b"not json"))
    assert [outgoing.topic for outgoing in step.results] == [Topic.DEAD_LETTERS]


async def test_a_bad_record_becomes_a_dead_letter_and_the_others_are_analysed(stage: InferStage) -> None:
    """The record at offset 1 has no valid article."""
    step = await stage.open(0, {}).process(messages(article("a"), b'{"kind":"article"}', article("b")))
    (outgoing,) = on_topic(step.results, Topic.DEAD_LETTERS)
    letter = DeadLetter.model_validate_json(outgoing.value)
    assert (letter.stage, letter.offset) == ("infer", 1)
    assert letter.error.startswith("SchemaError")
    assert [analysis.article.id for analysis in analyses(step.results)] == ["a", "b"]


async def test_with_a_watchlist_only_its_entities_get_signals_and_a_group_takes_its_worst(tiny_bundle: Path) -> None:
    """Both companies are in one group, whose signal has the sentiment of Acme, the one with bad news."""
    entries = ({"id": "acme", "name": "Acme", "group": "makers"}, {"id": "globex", "name": "Globex", "group": "makers"})
    watchlist = Watchlist(tuple(WatchedEntity.model_validate(entry) for entry in entries))
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        stage = InferStage(engine, Linker(watchlist), Settings(), signal_partitions=1)
        step = await stage.open(0, {}).process(messages(article()))
    by_target = {signal.target: signal for signal in signals(step.results)}
    assert {target for target in by_target if target.startswith("entity:")} == {"entity:acme", "entity:globex"}
    group, acme = by_target["group:makers"], by_target["entity:acme"]
    assert group.sentiment == acme.sentiment
    assert group.groups == acme.groups == ("makers",)
    assert (group.member, group.member_name) == ("entity:acme", "Acme")
    assert acme.member == acme.member_name == ""


async def test_a_signal_has_the_weight_of_its_entry_and_a_group_that_of_its_heaviest_member(tiny_bundle: Path) -> None:
    """The heaviest member of the group is not in the article. Topics and the market weigh 1."""
    entries = (
        {"id": "acme", "name": "Acme", "group": "makers", "weight": 2.5},
        {"id": "initech", "name": "Initech", "group": "makers", "weight": 7},
        {"id": "globex", "name": "Globex"},
    )
    watchlist = Watchlist(tuple(WatchedEntity.model_validate(entry) for entry in entries))
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        stage = InferStage(engine, Linker(watchlist), Settings(), signal_partitions=1)
        step = await stage.open(0, {}).process(messages(article()))
    weights = {signal.target: signal.weight for signal in signals(step.results)}
    expected = {"entity:acme": 2.5, "entity:globex": 1.0, "group:makers": 7.0, "market": 1.0}
    assert weights.items() >= expected.items()
    assert all(weight == 1.0 for target, weight in weights.items() if target not in expected)


async def test_other_tasks_get_turns_during_a_long_batch(stage: InferStage) -> None:
    """Linking and writing run in short slices, so heartbeats and requests are answered meanwhile."""
    records = messages(*(article(str(number), text="Acme Corp gains. " * 1_000) for number in range(60)))
    assert await count_other_turns(stage, records) >= 20


def targets_of(prediction: DocumentPrediction) -> list[TargetSentiment]:
    """Returns the sentiment toward each target of a document: entities by mention, topics (none here), the market."""
    (summary,) = summarise([prediction], (), 0.5)
    return target_sentiments(prediction, Linker().link(prediction), summary, watched_only=False)


def test_the_evidence_of_a_long_sentence_is_cut_around_the_span(marked: Callable[..., DocumentPrediction]) -> None:
    """Evidence is the sentence with the mention, in at most 600 characters, and the offsets of the mention in it."""
    evidence = targets_of(marked("x " * 400 + "[ORG Acme Corp] fell" + " y" * 400))[0].evidence
    assert len(evidence.text) <= 600
    assert evidence.text[evidence.start : evidence.end] == "Acme Corp"


def test_a_mention_as_a_speaker_has_a_fifth_of_the_weight(marked: Callable[..., DocumentPrediction]) -> None:
    """Moody's only rates Acme, so the sentence is hardly about Moody's: its relevance is 0.2."""
    targets = targets_of(marked("[ORG Moody's] cuts [ORG Acme Corp]", sentiments=[(0.9, 0.1, 0.0)]))
    relevance = {target.name: target.relevance for target in targets}
    assert relevance["Acme Corp"] == 1.0
    assert relevance["Moody's Corporation"] == 0.2


def test_the_target_of_a_topic_is_a_slug() -> None:
    assert topic_target("M&A | Investments") == "topic:m-a-investments"


async def test_an_event_tells_what_became_of_each_article_by_its_id(stage: InferStage) -> None:
    """At level `debug`, so that the way of an article can be followed in the log."""
    with capture_logs() as events:
        await stage.open(1, {}).process(messages(article("read"), article("foreign", language="ja")))
    by_article = {event["article"]: event for event in events if event["event"].startswith("article ")}
    assert by_article["read"]["event"] == "article analysed"
    assert by_article["read"]["targets"] > 0
    assert by_article["foreign"]["event"] == "article not analysed"
    assert by_article["foreign"]["status"] == "unsupported"


async def test_live_news_is_timed_and_backfill_is_not(stage: InferStage) -> None:
    """A step carries when its live news was first seen, for the metric of its age."""
    step = await stage.open(1, {}).process(messages(article("live"), article("old", backfill=True)))
    assert step.seen == [article().seen_at]
