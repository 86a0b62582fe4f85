"""`riskwire score` and the API's `analyse`: texts in, readings out, offsets into the text.

A text without a word gets a neutral sentiment (0, 1, 0) and nothing else. Every sentence is read: nothing is skipped.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, TextIO

from pydantic import TypeAdapter

from riskwire.errors import RiskwireError, SchemaError
from riskwire.inference.analysis import Overall, overall
from riskwire.inference.linking import LinkedMention, Linker
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.probabilities import Distribution, mean, sentiment_of
from riskwire.inference.model.reading import Reading
from riskwire.inference.model.sentences import Document
from riskwire.records import (
    ScoreMention,
    ScoreRequest,
    ScoreResult,
    ScoreTarget,
    SentenceAnalysis,
    TargetSpan,
    read_record,
)

LONGEST_LINE = 1_000_000
"""Most bytes of one line."""
_TOGETHER = 256
"""Most lines read by the model as one request."""
_AHEAD = 4
"""Most requests under way."""
_POLL_S = 0.2
_REQUESTS: TypeAdapter[ScoreRequest] = TypeAdapter(ScoreRequest)
_EVERY = 1_000_000


async def score(
    requests: Sequence[ScoreRequest], engine: Engine, linker: Linker, *, urgent: bool = True
) -> list[ScoreResult]:
    """Score texts, in order; before what stages are reading, unless it is not `urgent`.

    Raises:
        SchemaError: a target that does not lie in its text; names the id. RiskwireError: the model could not be run.
    """
    for request in requests:
        check_targets(request, f"id {request.id!r}")
    readings = await engine.analyse(
        [Document(request.text) for request in requests], max_sentences=_EVERY, urgent=urgent
    )
    return await asyncio.to_thread(_results, requests, readings, engine, linker)


def check_targets(request: ScoreRequest, where: str) -> None:
    """Raises SchemaError when a target is empty or ends beyond the text."""
    for at, target in enumerate(request.targets or ()):
        if not target.start < target.end <= len(request.text):
            raise SchemaError(
                f"targets.{at}: must lie in the text, which has {len(request.text)} characters, and not be empty",
                value=(target.start, target.end),
                where=where,
            )


def _results(
    requests: Sequence[ScoreRequest], readings: Sequence[Reading], engine: Engine, linker: Linker
) -> list[ScoreResult]:
    topics = engine.bundle.manifest.heads.topics
    wholes = overall(readings, topics.labels if topics else (), engine.settings.topic_threshold)
    return [
        _result(request, reading, whole, linker)
        for request, reading, whole in zip(requests, readings, wholes, strict=True)
    ]


def _result(request: ScoreRequest, reading: Reading, whole: Overall, linker: Linker) -> ScoreResult:
    return ScoreResult(
        id=request.id,
        sentiment=sentiment_of(whole.sentiment),
        sentences=tuple(
            SentenceAnalysis(start=one.start, end=one.end, sentiment=sentiment_of(one.reading.sentiment))
            for one in reading.sentences
        ),
        mentions=tuple(_mention(one) for one in linker.link(reading)),
        targets=tuple(
            ScoreTarget(start=span.start, end=span.end, sentiment=sentiment_of(_toward(reading, span, whole.sentiment)))
            for span in request.targets or ()
        ),
        topics=whole.topics,
    )


def _mention(one: LinkedMention) -> ScoreMention:
    return ScoreMention(
        start=one.start,
        end=one.end,
        text=one.text,
        type=one.type,
        entity=one.entity,
        sentiment=sentiment_of(one.sentiment),
    )


def _toward(reading: Reading, span: TargetSpan, otherwise: Distribution) -> Distribution:
    """Sentiment toward a span: where it runs over several sentences, their mean by its characters in each."""
    parts = []
    for one in reading.sentences:
        start, end = max(span.start, one.start), min(span.end, one.end)
        if start < end:
            parts.append((float(end - start), one.reading.toward(start - one.start, end - one.start)))
    return mean(parts) if parts else otherwise


async def score_lines(lines: BinaryIO, out: BinaryIO, err: TextIO, engine: Engine, linker: Linker) -> int:
    """Read JSON lines, write a JSON line for each, in order, as they come; blank lines are passed over.

    A line that cannot be read is told on `err` with its number, and the rest goes on. Returns the exit status: 1 when
    some line was bad, or when whoever reads `out` has gone: then it ends at once and quietly.

    Raises:
        RiskwireError: the model could not be run, the lines could not be read, or the results could not be written.
    """
    reader = _LineReader(lines)
    under_way: asyncio.Queue[asyncio.Task[list[bytes]] | None] = asyncio.Queue(_AHEAD)
    bad = 0

    async def read(group: asyncio.TaskGroup) -> None:
        nonlocal bad
        while (several := await asyncio.to_thread(reader.next_lines)) is not None:
            requests = []
            for number, line in several:
                try:
                    requests.append(_request(line, number))
                except SchemaError as error:
                    bad += 1
                    print(error, file=err, flush=True)
            if requests:
                await under_way.put(group.create_task(_scored(requests, engine, linker)))
        await under_way.put(None)

    async def write() -> None:
        while (task := await under_way.get()) is not None:
            results = await task
            await asyncio.to_thread(_write, out, results)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(read(group))
            group.create_task(write())
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        if isinstance(first, BrokenPipeError):
            return 1
        raise first from first.__cause__
    finally:
        reader.close()
    return 1 if bad else 0


async def _scored(requests: Sequence[ScoreRequest], engine: Engine, linker: Linker) -> list[bytes]:
    return [result.to_bytes() + b"\n" for result in await score(requests, engine, linker, urgent=False)]


def _write(out: BinaryIO, results: Sequence[bytes]) -> None:
    try:
        out.writelines(results)
        out.flush()
    except OSError as error:
        _let_go(out)
        if isinstance(error, BrokenPipeError):
            raise
        raise RiskwireError("the results cannot be written", where=str(getattr(out, "name", ""))) from error


def _let_go(out: BinaryIO) -> None:
    """Send what is still buffered nowhere: closing `out` would try to write it again, and fail again."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, out.fileno())
        finally:
            os.close(nowhere)


def _request(line: bytes, number: int) -> ScoreRequest:
    where = f"line {number}"
    if len(line) > LONGEST_LINE:
        raise SchemaError(f"the line is longer than {LONGEST_LINE} bytes", where=where)
    request = read_record(_REQUESTS, line, where)
    check_targets(request, where)
    return request


class _LineReader:
    """Reads lines in a thread of its own, ahead of those who score by a bounded number; hands over what is there.

    The thread is a daemon: one that waits for standard input cannot be stopped otherwise.
    """

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines
        self._queue: queue.Queue[tuple[int, bytes] | BaseException | None] = queue.Queue(_TOGETHER)
        self._closed = threading.Event()
        self._ended = False
        threading.Thread(target=self._read, name="riskwire-lines", daemon=True).start()

    def close(self) -> None:
        """Let the thread end."""
        self._closed.set()

    def next_lines(self) -> list[tuple[int, bytes]] | None:
        """The lines that have come, numbered from 1; waits for one; None at the end."""
        several: list[tuple[int, bytes]] = []
        while not self._ended and not self._closed.is_set() and len(several) < _TOGETHER:
            try:
                item = self._queue.get(block=not several, timeout=_POLL_S)
            except queue.Empty:
                if several:
                    break
                continue
            if item is None:
                self._ended = True
            elif isinstance(item, BaseException):
                raise RiskwireError("the lines cannot be read") from item
            else:
                several.append(item)
        return several or None

    def _read(self) -> None:
        try:
            number = 0
            while not self._closed.is_set() and (line := self._lines.readline(LONGEST_LINE + 1)):
                number += 1
                rest = line
                while not rest.endswith(b"\n") and (rest := self._lines.readline(LONGEST_LINE)):
                    pass
                if line.strip():
                    self._put((number, line))
            self._put(None)
        except (OSError, ValueError) as error:
            self._put(error)

    def _put(self, item: tuple[int, bytes] | BaseException | None) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return
