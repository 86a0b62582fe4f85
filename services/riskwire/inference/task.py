"""The infer stage: articles in; analyses, signals and marks out.

Changes of the watchlist come in the log like everything else: an article is linked with the list that stands where it
stands, whatever the batches, the restarts and the other partitions.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from riskwire import metrics
from riskwire.bus import Message, Outgoing
from riskwire.bus.protocol import broadcast
from riskwire.errors import SchemaError
from riskwire.inference.analysis import analysis_of, overall, reference, signals_of
from riskwire.inference.engine import Engine
from riskwire.inference.linking import Linker, Linkers
from riskwire.inference.reading import Reading
from riskwire.inference.seen import SeenRing
from riskwire.inference.sentences import Document
from riskwire.inference.watches import Watches
from riskwire.schemas import ARTICLES, Analysis, Article, Mark, Signal, Topic, Watch, read_record
from riskwire.settings import Settings
from riskwire.stage import Step, dead_letter
from riskwire.story import fingerprint
from riskwire.watchlist import WatchedEntity


class InferStage:
    """Reads every partition of `articles` with one engine.

    What comes of an article depends on the article and the watchlist at its place in the log; only marks depend on
    where a batch ends. With a watchlist, entity signals are made for what is on it and nothing else; without one, for
    every company, organisation and country that is found.

    Args:
        linker: of the watchlist that the stage is started with; what is commanded lies over it.
    """

    name = "infer"
    topic = Topic.ARTICLES

    def __init__(self, engine: Engine, linker: Linker, settings: Settings, *, signal_partitions: int) -> None:
        self.engine = engine
        self.linkers = Linkers(linker, settings.inference.watchlists)
        self.settings = settings
        self.signal_partitions = signal_partitions
        self.saying = asyncio.Lock()
        """Partitions take turns in what is Python's own work: threads that fight for it only lose time."""

    def open(self, partition: int, state: Mapping[str, bytes]) -> InferTask:
        """A task for a partition, which remembers what it has read."""
        return InferTask(self, partition, state)


@dataclass(frozen=True, slots=True)
class _Placed:
    """An article, and what had been commanded of the watchlist where it stands in the log."""

    article: Article
    commanded: tuple[WatchedEntity, ...]


def _first_of_each(placed: Sequence[_Placed]) -> Iterable[_Placed]:
    """An article of each list: hashing a long one is not for every article."""
    return {id(one.commanded): one for one in placed}.values()


class InferTask:
    """The work on one partition."""

    def __init__(self, stage: InferStage, partition: int, state: Mapping[str, bytes]) -> None:
        self._stage = stage
        self._partition = partition
        self._seen = SeenRing(stage.settings.inference.remember, state)
        self._watches = Watches(state)
        self._commanded = self._watches.entries()

    async def process(self, batch: Sequence[Message]) -> Step:
        """Analyse the articles of a batch that have not been read before, and tell the time.

        Raises:
            DeviceError: the device failed. RiskwireError: the model could not read an article.
        """
        step = Step()
        articles: list[_Placed] = []
        newest: datetime | None = None
        commanded: tuple[WatchedEntity, ...] | None = self._commanded
        for message in batch:
            try:
                record = read_record(ARTICLES, message.value, message.where)
                if isinstance(record, Watch):
                    self._watches.take(record, message.where)
                    commanded = None
                    continue
            except SchemaError as error:
                step.results.append(dead_letter(self._stage.name, message, error))
                continue
            newest = record.seen_at if newest is None else max(newest, record.seen_at)
            if isinstance(record, Article):
                if self._seen.add(record.id, record.version):
                    commanded = self._watches.entries() if commanded is None else commanded
                    articles.append(_Placed(record, commanded))
                else:
                    metrics.REPEATS.inc()
        counted = await self._read(articles, step)
        if newest is not None:
            mark = self._mark(newest, counted)
            step.results.extend(broadcast(Topic.SIGNALS, mark.to_bytes(), self._stage.signal_partitions))
        self._commanded = self._watches.entries() if commanded is None else commanded
        step.state = self._seen.changes() | self._watches.changes()
        return step

    async def _read(self, placed: Sequence[_Placed], step: Step) -> list[Article]:
        """Publish what is said of each article, in order; the articles that count as news."""
        articles = [one.article for one in placed]
        readable = [article for article in articles if self._reads(article) and (article.title + article.text).strip()]
        documents = [Document.of_article(article.title, article.text) for article in readable]
        read = await self._stage.engine.analyse(documents)
        readings = {
            (article.id, article.version): reading
            for article, reading in zip(readable, read, strict=True)
            if reading.sentences
        }
        async with self._stage.saying:
            said = await asyncio.to_thread(self._said, placed, readings)
        counted = []
        for article, (analysis, signals) in zip(articles, said, strict=True):
            metrics.ANALYSES.labels(status=analysis.status).inc()
            step.results.append(Outgoing(Topic.ANALYSES, article.id, analysis.to_bytes()))
            step.results.extend(Outgoing(Topic.SIGNALS, one.target, one.to_bytes()) for one in signals)
            if analysis.status == "ok" and not article.backfill:
                counted.append(article)
        return counted

    def _reads(self, article: Article) -> bool:
        return (article.language or "").partition("-")[0].casefold() in self._stage.engine.bundle.languages

    def _said(
        self, placed: Sequence[_Placed], readings: Mapping[tuple[str, int], Reading]
    ) -> list[tuple[Analysis, list[Signal]]]:
        linkers = {id(one.commanded): self._stage.linkers.of(one.commanded) for one in _first_of_each(placed)}
        return [
            self._said_of(one.article, readings.get((one.article.id, one.article.version)), linkers[id(one.commanded)])
            for one in placed
        ]

    def _said_of(self, article: Article, reading: Reading | None, linker: Linker) -> tuple[Analysis, list[Signal]]:
        stage, bundle = self._stage, self._stage.engine.bundle
        if reading is None:
            status: Literal["empty", "unsupported"] = "empty" if self._reads(article) else "unsupported"
            return Analysis(article=reference(article), bundle=bundle.label, status=status), []
        topics = bundle.manifest.heads.topics
        mentions = linker.link(reading)
        whole = overall(reading, topics.labels if topics else (), stage.settings.inference.topic_threshold)
        story = fingerprint(article.title, article.text)
        analysis = analysis_of(article, reading, mentions, whole, bundle.label, story)
        watched_only = bool(linker.watchlist)
        return analysis, signals_of(article, reading, mentions, whole, bundle.label, story, watched_only=watched_only)

    def _mark(self, newest: datetime, counted: Sequence[Article]) -> Mark:
        length = self._stage.settings.alerting.bucket_s
        buckets = Counter(int(article.seen_at.timestamp()) // length * length for article in counted)
        return Mark.model_validate(
            {
                "from": self._partition,
                "seen_at": newest,
                "stories": len(counted),
                "buckets": dict(sorted(buckets.items())),
            }
        )
