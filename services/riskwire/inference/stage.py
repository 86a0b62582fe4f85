"""The infer stage: reads articles, writes analyses, signals and marks.

Changes of the watchlist arrive in the same log as the articles. Each article is linked with the watchlist at its place
in the log, independent of batches, restarts and other partitions.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Literal, NamedTuple

import structlog

from riskwire import metrics
from riskwire.bus import Message, Outgoing
from riskwire.bus.protocol import broadcast
from riskwire.errors import SchemaError
from riskwire.inference.analysis import summarise, target_sentiments
from riskwire.inference.linking import Linker, LinkerCache
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.inference.model.vocabulary import Vocabulary
from riskwire.inference.record_writer import write_analysis, write_signals, write_unread_analysis
from riskwire.inference.seen_articles import SeenArticles
from riskwire.inference.watchlist_state import WatchlistSnapshot, WatchlistState
from riskwire.pipeline import INFER, Topic
from riskwire.records import ARTICLES, Article, Mark, WatchlistChange, read_record
from riskwire.settings import Settings
from riskwire.stage import Step, dead_letter
from riskwire.story import fingerprints

_MAX_SLICE_ARTICLES = 64
"""The most articles of a slice. Linking and writing a slice takes a few milliseconds."""
_MAX_SLICE_CHARACTERS = 60_000
"""The most characters of a slice with several articles."""
_LONG_ARTICLE = 5_000
"""Characters. A longer article forms a slice alone and is linked in a thread: a hostile one may take a second."""
_MAX_SLICE_S = 0.02
"""A slice that takes longer is interrupted, because hostile short articles take up to ten times as long as news."""


class InferStage:
    """Analyses every partition of `articles` with one engine.

    The results of an article depend on the article and the watchlist at its place in the log. Only marks depend on
    where a batch ends. With a watchlist, only its entities get signals. Without one, every company, organisation and
    country gets signals.

    Args:
        linker: links with the watchlist that the stage was started with. Entries set by commands take precedence.
        signal_partitions: the number of partitions of `signals`, each of which gets the marks.
    """

    spec = INFER

    def __init__(self, engine: Engine, linker: Linker, settings: Settings, *, signal_partitions: int) -> None:
        """Prepares the stage; each partition gets a task, and all tasks share the engine and the linkers.

        Args:
            engine: runs the model on sentences.
            linker: finds the entities of mentions, with the watchlist that the process was started with.
            signal_partitions: the number of partitions of `signals`, each of which gets the marks.
        """
        self.engine = engine
        self.vocabulary = Vocabulary.load(engine.bundle.tokenizer_path)
        self.linkers = LinkerCache(linker, settings.inference.watchlists)
        self.settings = settings
        self.signal_partitions = signal_partitions
        for status in ("ok", "unsupported", "empty"):
            metrics.ANALYSES.labels(status=status)  # from 0 on, so that a rate counts the first ones too
        self.log = structlog.get_logger(__name__).bind()
        """Bound once, since there is an event for each article: binding takes longer than leaving one out."""
        self.event_loop_turn = asyncio.Lock()
        """Held by the partition that links and writes its articles. Linking and writing are pure Python, so they run
        on the event loop, in short slices. A thread would hold the GIL for longer at a time, and several threads that
        compete for the GIL lose a sixth of their time. Only a long article runs in a thread, because it cannot be cut
        into short slices."""

    def reads(self, article: Article) -> bool:
        """Returns whether the model reads the language of an article, such as `en-GB`.

        A short article of unknown language is read if its words are the bundle's (decision 26).
        """
        if article.language is None:
            return self.vocabulary.reads(f"{article.title}\n{article.text}")
        return article.language.partition("-")[0].casefold() in self.engine.bundle.languages

    def open(self, partition: int, state: Mapping[str, bytes]) -> InferTask:
        """Returns a task for a partition, continuing from the committed state."""
        return InferTask(self, partition, state)


class _PlacedArticle(NamedTuple):
    """An article and the watchlist at its place in the log."""

    article: Article
    watchlist: WatchlistSnapshot

    @property
    def size(self) -> int:
        """Characters of title and text."""
        return len(self.article.title) + len(self.article.text)


@dataclass(slots=True)
class _Output:
    """The results of a batch so far.

    Attributes:
        results: records to publish, in order.
        news: the analysed articles that count as news, which marks count.
        statuses: the number of analyses by status.
    """

    results: list[Outgoing] = field(default_factory=list)
    news: list[Article] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)


class InferTask:
    """The work on one partition."""

    def __init__(self, stage: InferStage, partition: int, state: Mapping[str, bytes]) -> None:
        """Restores from the committed state which article versions were seen, and the watchlist set by commands.

        Args:
            partition: the partition of `articles`; its marks name it.
        """
        self._stage = stage
        self._partition = partition
        self._seen = SeenArticles(stage.settings.inference.remember, state)
        self._watchlist = WatchlistState(state)

    async def process(self, batch: Sequence[Message]) -> Step:
        """Analyses the articles of a batch that are new, and adds a mark with the newest time of the batch.

        A mark is a record of `signals` that tells how far this partition of `articles` has been read; each partition of
        `signals` gets it. A batch without a readable article or tick (a record that only carries the time) has no mark.

        Returns:
            The records to publish (dead letters, analyses, signals, marks) and the changes of the state.

        Raises:
            DeviceError: the device failed.
            RiskwireError: the model could not be run, or the engine is not running.
        """
        step = Step()
        articles, newest = self._read(batch, step)
        news = await self._analyse(articles, step)
        if newest is not None:
            mark = self._mark(newest, news)
            step.results.extend(broadcast(Topic.SIGNALS, mark.to_bytes(), self._stage.signal_partitions))
        step.state = self._seen.take_changes() | self._watchlist.take_changes()
        step.seen = [article.seen_at for article in news]
        return step

    def _read(self, batch: Sequence[Message], step: Step) -> tuple[list[_PlacedArticle], datetime | None]:
        """Reads a batch and applies its changes of the watchlist. Articles and ticks set the newest time.

        A record that cannot be read, or an invalid change of the watchlist, becomes a dead letter in `step.results`. An
        article version that was seen before is only counted, in a metric.

        Returns:
            The articles that are new, each with the watchlist at its place in the log; and the newest `seen_at` of all
            articles (also repeated ones) and ticks (records that only carry the time), None if the batch has neither.
        """
        articles: list[_PlacedArticle] = []
        newest: datetime | None = None
        for message in batch:
            try:
                record = read_record(ARTICLES, message.value, message.where)
                if isinstance(record, WatchlistChange):
                    self._watchlist.apply(record, message.where)
                    continue
            except SchemaError as error:
                step.results.append(dead_letter(self._stage.spec.name, message, error))
                continue
            newest = record.seen_at if newest is None else max(newest, record.seen_at)
            if isinstance(record, Article):
                if self._seen.add(record.id, record.version):
                    articles.append(_PlacedArticle(record, self._watchlist.snapshot()))
                else:
                    metrics.REPEATED_ARTICLES.inc()
        return articles, newest

    async def _analyse(self, articles: Sequence[_PlacedArticle], step: Step) -> list[Article]:
        """Adds the analyses and signals of articles to the step, in order. Returns the articles that count as news.

        Backfill (published long before it was seen) and articles that the model cannot read are no news. Counts the
        analyses by status in a metric.

        Args:
            articles: articles, each with the watchlist at its place in the log.
        """
        predictions = await self._predict(articles)
        output = _Output()
        async with self._stage.event_loop_turn:
            linkers = await self._linkers(articles)
            for part in _slices(articles):
                writing = self._write(articles[part], predictions[part], linkers, output)
                if articles[part.start].size > _LONG_ARTICLE:
                    await asyncio.to_thread(list, writing)
                else:
                    await _run_in_turns(writing)
        step.results += output.results
        for status, count in output.statuses.items():
            metrics.ANALYSES.labels(status=status).inc(count)
        return output.news

    async def _predict(self, articles: Sequence[_PlacedArticle]) -> list[DocumentPrediction | None]:
        """Returns a prediction for each article, in order; None for one that the model does not read.

        Those are articles in a language that the model does not support, and articles without a sentence.
        """
        documents = {
            index: TextDocument.of_article(article.title, article.text)
            for index, (article, _) in enumerate(articles)
            if self._stage.reads(article) and (article.title.strip() or article.text.strip())
        }
        predictions: list[DocumentPrediction | None] = [None] * len(articles)
        predicted = await self._stage.engine.predict([*documents.values()])
        for index, prediction in zip(documents, predicted, strict=True):
            if prediction.sentences:
                predictions[index] = prediction
        return predictions

    async def _linkers(self, articles: Sequence[_PlacedArticle]) -> dict[WatchlistSnapshot, Linker]:
        """Returns the linker of each watchlist that an article of the batch was placed under.

        A linker finds the entities of mentions. While commands have set no entry, it is the base linker. Building
        another one takes a while, so it happens in a thread.
        """
        watchlists = dict.fromkeys(watchlist for _, watchlist in articles)
        linkers = self._stage.linkers
        if not any(watchlist.entries for watchlist in watchlists):
            return dict.fromkeys(watchlists, linkers.base)
        return await asyncio.to_thread(lambda: {watchlist: linkers.get(watchlist.entries) for watchlist in watchlists})

    def _write(
        self,
        articles: Sequence[_PlacedArticle],
        predictions: Sequence[DocumentPrediction | None],
        linkers: Mapping[WatchlistSnapshot, Linker],
        output: _Output,
    ) -> Iterator[None]:
        """Links the mentions of articles to entities and adds their records to `output`, in order, without publishing.

        An analysed article gets an analysis and a signal for each target; if its watchlist is not empty, only watched
        entities are targets among the entities. It counts as news unless it is backfill. An article without a
        prediction gets only an analysis: `unsupported` because of its language, otherwise `empty`. The fingerprint of
        title and text is the story of the article.

        Args:
            articles: articles, each with the watchlist at its place in the log.
            predictions: the prediction of each article, or None if the model did not read it.
            linkers: the linker of each watchlist.

        Yields:
            None after each article, so that the caller can let other tasks of the event loop run.
        """
        stage, bundle = self._stage, self._stage.engine.bundle
        label = bundle.label
        topics, adverse_from = bundle.manifest.heads.topics, bundle.manifest.heads.adverse_from
        present = [prediction for prediction in predictions if prediction is not None]
        summaries = iter(summarise(present, topics.labels if topics else (), stage.settings.inference.topic_threshold))
        stories = iter(
            fingerprints(
                [
                    (placed.article.title, placed.article.text)
                    for placed, prediction in zip(articles, predictions, strict=True)
                    if prediction is not None
                ]
            )
        )
        for (article, watchlist), prediction in zip(articles, predictions, strict=True):
            if prediction is None:
                status: Literal["empty", "unsupported"] = "empty" if stage.reads(article) else "unsupported"
                output.statuses[status] += 1
                output.results.append(write_unread_analysis(article, status, label, watchlist.read_with))
                stage.log.debug("article not analysed", article=article.id, version=article.version, status=status)
                yield
                continue
            story, summary, linker = next(stories), next(summaries), linkers[watchlist]
            mentions = linker.link(prediction, article.published_at.date())
            targets = target_sentiments(
                prediction,
                mentions,
                summary,
                watched_only=bool(linker.watchlist),
                adverse_from=adverse_from,
                group_weights=linker.group_weights,
            )
            output.results.append(
                write_analysis(article, prediction, mentions, summary, label, story, watchlist.read_with, adverse_from)
            )
            output.results += write_signals(article, targets, label, story, adverse_from)
            stage.log.debug(
                "article analysed", article=article.id, version=article.version, story=story, targets=len(targets)
            )
            output.statuses["ok"] += 1
            if not article.backfill:
                output.news.append(article)
            yield

    def _mark(self, newest: datetime, news: Sequence[Article]) -> Mark:
        """Returns the mark of a batch. It tells alerting how far this partition has been read and how much news it had.

        Args:
            newest: the newest `seen_at` of the batch, the time of the mark.
            news: the analysed articles that are no backfill. They are counted in all (`stories`) and by bucket: an
                interval of stream time of `bucket_s` seconds, named by its start in epoch seconds.
        """
        bucket_s = self._stage.settings.alerting.bucket_s
        buckets = Counter(int(article.seen_at.timestamp()) // bucket_s * bucket_s for article in news)
        return Mark.model_validate(
            {
                "from": self._partition,
                "seen_at": newest,
                "stories": len(news),
                "buckets": dict(sorted(buckets.items())),
            }
        )


def _slices(articles: Sequence[_PlacedArticle]) -> Iterator[slice]:
    """Yields consecutive slices (ranges of indexes) that together cover a batch, in order; none for an empty batch.

    A slice is short enough for the event loop: it has at most `_MAX_SLICE_ARTICLES` articles and, if it has several, at
    most `_MAX_SLICE_CHARACTERS` characters. An article longer than `_LONG_ARTICLE` characters forms a slice alone.

    Args:
        articles: articles, each with the watchlist at its place in the log.
    """
    start = size = 0
    for index, placed in enumerate(articles):
        full = index - start == _MAX_SLICE_ARTICLES or size + placed.size > _MAX_SLICE_CHARACTERS
        beside_long = max(placed.size, articles[index - 1].size) > _LONG_ARTICLE
        if index > start and (full or beside_long):
            yield slice(start, index)
            start, size = index, 0
        size += placed.size
    if articles:
        yield slice(start, len(articles))


async def _run_in_turns(work: Iterator[None]) -> None:
    """Runs work on the event loop. Other tasks get a turn at its end, and when it has run for `_MAX_SLICE_S` seconds.

    Args:
        work: yields None after each part; only there can other tasks get a turn.
    """
    started = perf_counter()
    for _ in work:
        if perf_counter() - started > _MAX_SLICE_S:
            await asyncio.sleep(0)
            started = perf_counter()
    await asyncio.sleep(0)
