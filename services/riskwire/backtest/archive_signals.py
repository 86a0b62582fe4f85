"""The signals of an archive in event time: the infer stage itself, fed without a bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from riskwire.backtest.cached_engine import CachedEngine
from riskwire.backtest.readings import ReadingFile, readings_id
from riskwire.backtest.signal_log import SignalLog, SignalLogDraft, hash_archive, log_path, store_log, stored_log
from riskwire.bus import Message
from riskwire.entities.watchlist import Watchlist
from riskwire.errors import RiskwireError
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.stage import InferStage
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.replay.archive import open_archive
from riskwire.ingest.replay.conversion import LineConverter, ReplayClock, ReplayPosition
from riskwire.ingest.replay.lines import latest_valid_time, parse_lines
from riskwire.pipeline import Topic
from riskwire.settings import Settings

BATCH = 256
"""Lines of one step of the infer stage."""
_CLOSING_S = 61.0
"""Seconds from the last article to the end of time, besides the length of a bucket and the lateness."""

Progress = Callable[[int, int, int], None]
"""Called with the bytes of the archive that are read, its size, and the lines so far."""


async def read_archive(
    archive: Path,
    settings: Settings,
    watchlist: Watchlist,
    cache: Path,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
) -> SignalLog:
    """Returns the signals of an archive: from the cache if nothing that decides them has changed since they were made.

    Args:
        settings: `ingest` for how lines are parsed, `inference` for the bundle, `alerting` for the length of a bucket.
        cache: the folder that keeps readings and signals.
        limit: the most lines to read; None for all.
        progress: called now and then while signals are made.

    Raises:
        RiskwireError: the archive or the bundle cannot be read, or the cache cannot be written.
    """
    bundle = await asyncio.to_thread(Bundle.load, settings.inference.bundle)
    readings = readings_id(bundle, settings.inference)
    decides = (
        readings,
        settings.ingest.model_dump_json(),
        str((settings.inference.max_sentences, settings.inference.topic_threshold, settings.alerting.bucket_s)),
        repr(watchlist.entities),
        str(limit),
    )
    archive_sha256 = await asyncio.to_thread(hash_archive, archive)
    path = await asyncio.to_thread(log_path, cache, archive_sha256, decides)
    if (log := await asyncio.to_thread(stored_log, path, archive_sha256)) is not None:
        return log
    file = await asyncio.to_thread(ReadingFile, cache / f"readings-{readings}.sqlite")
    try:
        async with CachedEngine(bundle, settings.inference, file) as engine:
            linker = await asyncio.to_thread(Linker, watchlist)
            reading = _Reading(InferStage(engine, linker, settings, signal_partitions=1), archive, settings)
            await store_log(path, reading.signals(limit, progress), reading.summary)
    finally:
        file.close()
    log = await asyncio.to_thread(stored_log, path, archive_sha256)
    if log is None:
        raise RiskwireError("the signals of the back-test are damaged", where=str(path), do="Delete them")
    return log


class _Reading:
    """One pass of the infer stage over an archive.

    Attributes:
        summary: filled in by `signals`.
    """

    def __init__(self, stage: InferStage, archive: Path, settings: Settings) -> None:
        self._stage = stage
        self._archive = archive
        self._settings = settings
        memory = ItemMemory({}, settings.ingest.remember)
        self._converter = LineConverter(
            ReplayPosition(), ReplayClock(), memory, settings.ingest, partitions=1, name=archive.name
        )
        self._offset = 0
        self.summary = SignalLogDraft()

    async def signals(self, limit: int | None, progress: Progress | None) -> AsyncIterator[list[bytes]]:
        """Yields the signals and marks of the archive as the infer stage publishes them, batch by batch.

        The articles and ticks are those of a replay with one partition. Time ends a little after the last article, so
        that the alert stage closes its last buckets.
        """
        ingest, alerting = self._settings.ingest, self._settings.alerting
        archive = await asyncio.to_thread(open_archive, self._archive, None, ingest.max_line)
        latest = await asyncio.to_thread(latest_valid_time, archive, ingest, datetime.now(UTC))
        task = self._stage.open(0, {})
        unread = islice(archive.lines(ingest.max_line), limit)
        while lines := await asyncio.to_thread(lambda: list(islice(unread, BATCH))):
            for parsed in await asyncio.to_thread(parse_lines, lines, archive.reader, ingest, latest):
                self._converter.convert(parsed)
            step = await task.process(self._messages())
            yield [result.value for result in step.results if result.topic == Topic.SIGNALS]
            if progress is not None:
                progress(lines[-1].bytes_read, archive.size, self._converter.position.stories)
        self._converter.close(alerting.bucket_s + alerting.lateness_s + _CLOSING_S)
        step = await task.process(self._messages())
        self.summary.bundle = self._stage.engine.bundle.label
        assert isinstance(self._stage.engine, CachedEngine)
        self.summary.read = self._stage.engine.read
        yield [result.value for result in step.results if result.topic == Topic.SIGNALS]

    def _messages(self) -> list[Message]:
        """Returns the records of `articles` for the lines that were converted since the last call."""
        records: list[bytes] = []
        for converted in self._converter.take_pending():
            records += [record.value for record in converted.records if record.topic == Topic.ARTICLES]
            article = converted.article
            if article is not None:
                line = converted.position.line - 1
                self.summary.add(article.id, line, article.seen_at)
                if not self._stage.reads(article):
                    self.summary.unsupported.append(line)
                records.append(article.to_bytes())
        messages = [
            Message(Topic.ARTICLES, 0, self._offset + index, None, value) for index, value in enumerate(records)
        ]
        self._offset += len(messages)
        return messages
