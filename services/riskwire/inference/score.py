"""Scores texts, for `riskwire score` and the API's `analyse`. Offsets are into the text.

Every sentence of a text is read. A text without a word gets a neutral sentiment (0, 1, 0) and nothing else.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, TextIO

from pydantic import TypeAdapter

from riskwire.errors import RiskwireError, SchemaError
from riskwire.inference.analysis import DocumentSummary, summarise
from riskwire.inference.linking import LinkedMention, Linker
from riskwire.inference.model.bundle import BundleHeads
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction, SpanPrediction
from riskwire.inference.model.probabilities import mean, sentiment_of
from riskwire.inference.model.risk_heads import NEUTRAL_LEVEL, level_of
from riskwire.inference.model.sentences import TextDocument
from riskwire.records import (
    Level,
    ScoreMention,
    ScoreRequest,
    ScoreResult,
    ScoreTarget,
    SentenceAnalysis,
    TargetSpan,
    read_record,
)
from riskwire.worst_mention import strongest_events

MAX_LINE_BYTES = 1_000_000
_MAX_LINES = 256
"""Lines that the model reads as one request."""
_MAX_REQUESTS = 4
"""Requests in progress."""
_POLL_S = 0.2
_REQUESTS: TypeAdapter[ScoreRequest] = TypeAdapter(ScoreRequest)
_ALL_SENTENCES = 1_000_000


async def score(
    requests: Sequence[ScoreRequest],
    engine: Engine,
    linker: Linker,
    *,
    urgent: bool = True,
    max_sentences: int | None = None,
) -> list[ScoreResult]:
    """Returns the sentiment, mentions, targets and topics of each requested text, in order.

    Args:
        requests: texts, each with an id and optional targets: spans of the text of which sentiment, level and event
            types are asked for.
        linker: finds the entities of mentions.
        urgent: take turns with the sentences that stages have sent to the engine.
        max_sentences: the most sentences of all texts together; None for any number.

    Raises:
        LimitError: the texts have more than `max_sentences` sentences.
        SchemaError: a target is empty or not in its text; the message names the id of the request. Nothing is scored.
        RiskwireError: the model could not be run, or the engine is not running.
    """
    for request in requests:
        _check_targets(request, f"id {request.id!r}")
    predictions = await engine.predict(
        [TextDocument(request.text) for request in requests],
        max_sentences=_ALL_SENTENCES,
        max_in_all=max_sentences,
        urgent=urgent,
    )
    return await asyncio.to_thread(_results, requests, predictions, engine, linker)


def _check_targets(request: ScoreRequest, where: str) -> None:
    """Checks that every target (a span of the text, end exclusive) is in the text and not empty.

    Args:
        where: what the message names as the place of the error.

    Raises:
        SchemaError: a target is empty, or ends after the text or before its own start.
    """
    for index, target in enumerate(request.targets or ()):
        if not target.start < target.end <= len(request.text):
            raise SchemaError(
                f"targets.{index}: must not be empty and must end within the text of {len(request.text)} characters",
                value=(target.start, target.end),
                where=where,
            )


def _results(
    requests: Sequence[ScoreRequest], predictions: Sequence[DocumentPrediction], engine: Engine, linker: Linker
) -> list[ScoreResult]:
    """Returns the result of each scoring request, in order.

    Topics are those with at least the probability `topic_threshold`; none if the model does not predict topics.
    """
    heads = engine.bundle.manifest.heads
    summaries = summarise(predictions, heads.topics.labels if heads.topics else (), engine.settings.topic_threshold)
    return [
        _result(request, prediction, summary, linker, heads)
        for request, prediction, summary in zip(requests, predictions, summaries, strict=True)
    ]


def _result(
    request: ScoreRequest,
    prediction: DocumentPrediction,
    summary: DocumentSummary,
    linker: Linker,
    heads: BundleHeads,
) -> ScoreResult:
    """Returns the result of a scoring request: sentiment of document and sentences, mentions, targets and topics.

    A requested target is a span of the text. A span outside every sentence has the sentiment of the document, a neutral
    level and no event types.

    Args:
        heads: the heads of the bundle, which say whether it predicts levels and event types.
    """
    outside = SpanPrediction(
        summary.sentiment, NEUTRAL_LEVEL if heads.level is not None else None, () if heads.events is not None else None
    )
    return ScoreResult(
        id=request.id,
        sentiment=sentiment_of(summary.sentiment),
        sentences=tuple(
            SentenceAnalysis(
                start=sentence.start,
                end=sentence.end,
                sentiment=sentiment_of(sentence.prediction.sentiment),
                events=sentence.prediction.events_of_no_party,
            )
            for sentence in prediction.sentences
        ),
        mentions=tuple(_mention(mention) for mention in linker.link(prediction)),
        targets=tuple(_target(span, _span_prediction(span, prediction, outside)) for span in request.targets or ()),
        topics=summary.topics,
    )


def _mention(mention: LinkedMention) -> ScoreMention:
    """Returns a linked mention in the form of the scoring API."""
    return ScoreMention(
        start=mention.start,
        end=mention.end,
        text=mention.text,
        type=mention.type,
        entity=mention.entity,
        sentiment=sentiment_of(mention.sentiment),
        level=mention.level,
        adverse=None if mention.level is None else mention.level.adverse,
        events=mention.events,
    )


def _target(span: TargetSpan, predicted: SpanPrediction) -> ScoreTarget:
    """Returns a requested span and its prediction in the form of the scoring API."""
    return ScoreTarget(
        start=span.start,
        end=span.end,
        sentiment=sentiment_of(predicted.sentiment),
        level=predicted.level,
        adverse=None if predicted.level is None else predicted.level.adverse,
        events=predicted.events,
    )


def _span_prediction(span: TargetSpan, prediction: DocumentPrediction, outside: SpanPrediction) -> SpanPrediction:
    """Returns what a document says of a span of it.

    Over several sentences, sentiment and level are means, weighted by the number of the span's characters in each, and
    of each event type the highest probability counts.

    Args:
        outside: the result for a span outside every sentence.
    """
    parts: list[tuple[float, SpanPrediction]] = []
    for sentence in prediction.sentences:
        start, end = max(span.start, sentence.start), min(span.end, sentence.end)
        if start < end:
            predicted = sentence.prediction.of_span(start - sentence.start, end - sentence.start)
            parts.append((float(end - start), predicted))
    if not parts:
        return outside
    levels = [(weight, _shares(part.level)) for weight, part in parts if part.level is not None]
    return SpanPrediction(
        sentiment=mean([(weight, part.sentiment) for weight, part in parts]),
        level=level_of(mean(levels)) if levels else None,
        events=strongest_events(part.events for _, part in parts),
    )


def _shares(level: Level) -> tuple[float, ...]:
    return level.neutral, level.mild, level.material, level.favourable


async def score_lines(lines: BinaryIO, out: BinaryIO, err: TextIO, engine: Engine, linker: Linker) -> int:
    """Reads JSON lines and writes a JSON line for each, in order, as soon as it is scored. Skips blank lines.

    A line that cannot be read is reported on `err` with its number, and the following lines are scored.

    Returns:
        The exit status: 1 when a line could not be read, otherwise 0. When the reader of `out` has closed it, 1 at
        once, without a message.

    Raises:
        RiskwireError: the model could not be run, the lines could not be read, or the results could not be written.
    """
    reader = _LineReader(lines)
    scoring: asyncio.Queue[asyncio.Task[list[bytes]] | None] = asyncio.Queue(_MAX_REQUESTS)
    bad_lines = 0

    async def read(group: asyncio.TaskGroup) -> None:
        """Reads lines until the end of input, and puts a scoring task for each batch into `scoring`, then None.

        A line that is no valid request is counted in `bad_lines`, and the error is printed to `err`. Waits while
        `scoring` is full.
        """
        nonlocal bad_lines
        while (numbered_lines := await asyncio.to_thread(reader.next_lines)) is not None:
            requests = []
            for number, line in numbered_lines:
                try:
                    requests.append(_request(line, number))
                except SchemaError as error:
                    bad_lines += 1
                    print(error, file=err, flush=True)
            if requests:
                await scoring.put(group.create_task(_score_to_bytes(requests, engine, linker)))
        await scoring.put(None)

    async def write() -> None:
        """Writes the results of the scoring tasks, in the order of the lines, until None is in their place."""
        while (task := await scoring.get()) is not None:
            results = await task
            await asyncio.to_thread(_write, out, results)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(read(group))
            group.create_task(write())
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        if isinstance(first, BrokenPipeError):
            return 1  # without a message, as other filters end
        raise first from first.__cause__
    finally:
        reader.close()
    return 1 if bad_lines else 0


async def _score_to_bytes(requests: Sequence[ScoreRequest], engine: Engine, linker: Linker) -> list[bytes]:
    return [result.to_bytes() + b"\n" for result in await score(requests, engine, linker, urgent=False)]


def _write(out: BinaryIO, results: Sequence[bytes]) -> None:
    """Writes lines of results and flushes. After an error, what is still in the buffer of `out` is discarded.

    Raises:
        BrokenPipeError: the reader has closed the pipe.
        RiskwireError: the results cannot be written for another reason, such as a full disk.
    """
    try:
        out.writelines(results)
        out.flush()
    except OSError as error:
        _discard_buffer(out)
        if isinstance(error, BrokenPipeError):
            raise
        raise RiskwireError("the results cannot be written", where=str(getattr(out, "name", ""))) from error


def _discard_buffer(out: BinaryIO) -> None:
    """Redirects a file to the null device. Otherwise closing it would write its buffer again, and fail again.

    Errors of the redirection are ignored, as for a file without a descriptor.
    """
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, out.fileno())
        finally:
            os.close(null)


def _request(line: bytes, number: int) -> ScoreRequest:
    """Returns the scoring request of a line of input.

    Args:
        number: the number of the line from 1, for messages.

    Raises:
        SchemaError: the line is too long or no valid request, or a target of the request is not in its text.
    """
    where = f"line {number}"
    if len(line) > MAX_LINE_BYTES:
        raise SchemaError(f"the line is longer than {MAX_LINE_BYTES} bytes", where=where)
    request = read_record(_REQUESTS, line, where)
    _check_targets(request, where)
    return request


class _LineReader:
    """Reads lines ahead in a thread, up to a bound.

    The thread is a daemon, because a thread that waits for standard input cannot be stopped.
    """

    def __init__(self, lines: BinaryIO) -> None:
        """Starts a thread that reads lines into a bounded queue, ahead of `next_lines`.

        The queue holds (line number, line), at the end None, or the error that ended reading. The thread is a daemon,
        because a thread that waits for standard input cannot be stopped.
        """
        self._lines = lines
        self._queue: queue.Queue[tuple[int, bytes] | BaseException | None] = queue.Queue(_MAX_LINES)
        self._closed = threading.Event()
        self._ended = False
        threading.Thread(target=self._read, name="riskwire-lines", daemon=True).start()

    def close(self) -> None:
        """Lets the thread end."""
        self._closed.set()

    def next_lines(self) -> list[tuple[int, bytes]] | None:
        """Returns the lines that are ready, at most `_MAX_LINES`, as (number from 1, line). Blocks until there is one.

        Returns None at the end of input, or once the reader is closed.

        Raises:
            RiskwireError: the input cannot be read.
        """
        lines: list[tuple[int, bytes]] = []
        while not self._ended and not self._closed.is_set() and len(lines) < _MAX_LINES:
            try:
                line_or_end = self._queue.get(block=not lines, timeout=_POLL_S)
            except queue.Empty:
                if lines:
                    break
                continue
            if line_or_end is None:
                self._ended = True
            elif isinstance(line_or_end, BaseException):
                raise RiskwireError("the lines cannot be read") from line_or_end
            else:
                lines.append(line_or_end)
        return lines or None

    def _read(self) -> None:
        """Puts (line number, line) of each line that is not blank into the queue, then None.

        Runs in a thread, until the reader is closed. Blank lines count in the numbers. An error takes the place of
        None. A long line is cut after MAX_LINE_BYTES + 1 bytes, so that the receiver can see that it is too long.
        """
        try:
            number = 0
            while not self._closed.is_set() and (line := self._lines.readline(MAX_LINE_BYTES + 1)):
                number += 1
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if not line.endswith(b"\n"):
                    self._skip_to_line_end()
                if line.strip():
                    self._put((number, line))
            self._put(None)
        except (OSError, ValueError) as error:
            self._put(error)

    def _skip_to_line_end(self) -> None:
        """Skips the remainder of a line that is too long."""
        while (part := self._lines.readline(MAX_LINE_BYTES)) and not part.endswith(b"\n"):
            pass

    def _put(self, item: tuple[int, bytes] | BaseException | None) -> None:
        """Puts an item into the queue. Waits while the queue is full, and gives up once the reader is closed."""
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return
