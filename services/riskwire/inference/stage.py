"""The infer stage: articles in; analyses, signals and marks out.

Changes of the watchlist come in the log like everything else: an article is linked with the list that stands where it
stands, whatever the batches, the restarts and the other partitions.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Literal, NamedTuple

from riskwire import metrics
from riskwire.bus import Message, Outgoing
from riskwire.bus.protocol import broadcast
from riskwire.entities.watchlist import WatchedEntity
from riskwire.errors import SchemaError
from riskwire.inference import written
from riskwire.inference.analysis import overall, said_of
from riskwire.inference.linking import Linker, LinkerCache
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.inference.seen_articles import SeenArticles
from riskwire.inference.watchlist_state import WatchlistState
from riskwire.pipeline import INFER, Topic
from riskwire.records import ARTICLES, Article, Mark, WatchlistChange, read_record
from riskwire.settings import Settings
from riskwire.stage import Step, dead_letter
from riskwire.story import fingerprints

_SLICE = 64
"""Most articles that are linked and written in one go,"""
_SLICE_CHARACTERS = 60_000
"""and most characters of several together: a few milliseconds."""
_LONG = 5_000
"""An article of more characters is a slice by itself, and is taken by a thread: a hostile one may take a second."""
_TURN_S = 0.02
"""Others have their turn after this long: of short articles too a hostile one takes ten times as long as news."""


class InferStage:
    """Reads every partition of `articles` with one engine.

    What comes of an article depends on the article and the watchlist at its place in the log; only marks depend on
    where a batch ends. With a watchlist, entity signals are made for what is on it and nothing else; without one, for
    every company, organisation and country that is found.

    Args:
        linker: of the watchlist that the stage is started with; what is commanded lies over it.
    """

    spec = INFER

    def __init__(self, engine: Engine, linker: Linker, settings: Settings, *, signal_partitions: int) -> None:
        self.engine = engine
        self.linkers = LinkerCache(linker, settings.inference.watchlists)
        self.settings = settings
        self.signal_partitions = signal_partitions
        self.saying = asyncio.Lock()
        """Partitions take turns in what is Python's own work, which is done on the event loop in short slices. A thread
        would hold Python's lock for longer at a time, and threads that fight for it lose a sixth of their time; for
        a long article alone, whose work need not be short, that is the lesser evil."""

    def reads(self, language: str | None) -> bool:
        """Whether the model reads a language, as an article names it."""
        return (language or "").partition("-")[0].casefold() in self.engine.bundle.languages

    def open(self, partition: int, state: Mapping[str, bytes]) -> InferTask:
        """A task for a partition, which remembers what it has read."""
        return InferTask(self, partition, state)


class _Placed(NamedTuple):
    """An article, what had been commanded of the watchlist where it stands in the log, and by which command last."""

    article: Article
    commanded: tuple[WatchedEntity, ...]
    read_with: int | None

    @property
    def size(self) -> int:
        """Characters of its title and text."""
        return len(self.article.title) + len(self.article.text)


def _slices(placed: Sequence[_Placed]) -> Iterable[tuple[int, int]]:
    """Stretches of a batch short enough for others to wait for; a long article is one by itself."""
    start = size = 0
    for at, one in enumerate(placed):
        full = at - start == _SLICE or size + one.size > _SLICE_CHARACTERS
        if at > start and (full or max(one.size, placed[at - 1].size) > _LONG):
            yield start, at
            start, size = at, 0
        size += one.size
    if placed:
        yield start, len(placed)


@dataclass(slots=True)
class _Written:
    """What is published of several articles, in order; those of them that count as news; how many of each status."""

    results: list[Outgoing] = field(default_factory=list)
    news: list[Article] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)


async def _in_turns(work: Iterator[None]) -> None:
    """Do work on the event loop, and let others have their turn at its end and wherever it has taken long."""
    since = perf_counter()
    for _ in work:
        if perf_counter() - since > _TURN_S:
            await asyncio.sleep(0)
            since = perf_counter()
    await asyncio.sleep(0)


class InferTask:
    """The work on one partition."""

    def __init__(self, stage: InferStage, partition: int, state: Mapping[str, bytes]) -> None:
        self._stage = stage
        self._partition = partition
        self._seen = SeenArticles(stage.settings.inference.remember, state)
        self._watches = WatchlistState(state)
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
                if isinstance(record, WatchlistChange):
                    self._watches.take(record, message.where)
                    commanded = None
                    continue
            except SchemaError as error:
                step.results.append(dead_letter(self._stage.spec.name, message, error))
                continue
            newest = record.seen_at if newest is None else max(newest, record.seen_at)
            if isinstance(record, Article):
                if self._seen.add(record.id, record.version):
                    commanded = self._watches.entries() if commanded is None else commanded
                    articles.append(_Placed(record, commanded, self._watches.read_with))
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
        documents = {
            at: TextDocument.of_article(one.article.title, one.article.text)
            for at, one in enumerate(placed)
            if self._stage.reads(one.article.language) and (one.article.title.strip() or one.article.text.strip())
        }
        read = await self._stage.engine.predict([*documents.values()])
        readings = {at: one for at, one in zip(documents, read, strict=True) if one.sentences}
        done = _Written()
        async with self._stage.saying:
            linkers = await self._linkers(placed)
            for start, end in _slices(placed):
                several = [readings.get(at) for at in range(start, end)]
                writing = self._writing(placed[start:end], several, linkers, done)
                if placed[start].size > _LONG:
                    await asyncio.to_thread(list, writing)
                else:
                    await _in_turns(writing)
        step.results += done.results
        for status, count in done.statuses.items():
            metrics.ANALYSES.labels(status=status).inc(count)
        return done.news

    async def _linkers(self, placed: Sequence[_Placed]) -> dict[int, Linker]:
        """The linkers of the lists, by the identity of each: hashing a long one is not for every article."""
        lists = {id(one.commanded): one.commanded for one in placed}.values()
        if any(lists):  # one that is not there yet takes a while
            return await asyncio.to_thread(lambda: {id(one): self._stage.linkers.of(one) for one in lists})
        return {id(one): self._stage.linkers.base for one in lists}

    def _writing(
        self,
        placed: Sequence[_Placed],
        readings: Sequence[DocumentPrediction | None],
        linkers: Mapping[int, Linker],
        done: _Written,
    ) -> Iterator[None]:
        """Adds to what is done one article after another, and stops after each."""
        stage, bundle = self._stage, self._stage.engine.bundle
        labels = bundle.manifest.heads.topics.labels if bundle.manifest.heads.topics else ()
        both = [(one.article, reading) for one, reading in zip(placed, readings, strict=True) if reading is not None]
        stories = iter(fingerprints([(article.title, article.text) for article, _ in both]))
        wholes = iter(overall([reading for _, reading in both], labels, stage.settings.inference.topic_threshold))
        for (article, commanded, read_with), reading in zip(placed, readings, strict=True):
            if reading is None:
                status: Literal["empty", "unsupported"] = "empty" if stage.reads(article.language) else "unsupported"
                done.statuses[status] += 1
                done.results.append(written.unread(article, status, bundle.label, read_with))
                yield
                continue
            story, whole, linker = next(stories), next(wholes), linkers[id(commanded)]
            mentions = linker.link(reading)
            said = said_of(reading, mentions, whole, watched_only=bool(linker.watchlist))
            done.results.append(written.analysis(article, reading, mentions, whole, bundle.label, story, read_with))
            done.results += written.signals(article, said, bundle.label, story)
            done.statuses["ok"] += 1
            if not article.backfill:
                done.news.append(article)
            yield

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
