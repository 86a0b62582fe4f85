"""Micro-batching: what waits is tokenised, run and decoded in overlapping steps, off the event loop.

    analyse ─► split ─► waiting ─► tokenise ─► pack ─┬─► run ─► decode ─► cache, futures
                (thread)           (thread)          └─► …  (as many runs at once as the session has workers)

Nobody waits for a batch to fill: whatever is there is taken, so one sentence alone is answered at once and many come
in large batches. Several stage tasks, `score` and the API share one engine, and their sentences mix.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from types import TracebackType
from typing import Self

from riskwire import metrics
from riskwire.errors import RiskwireError
from riskwire.inference.model.batches import Batch, pack, run_batch, tokens_of_one_run
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.cache import SentenceCache
from riskwire.inference.model.reading import Reading, ReadSentence, SentenceReading
from riskwire.inference.model.readings import decode_sentence
from riskwire.inference.model.sentences import Document, Sentence
from riskwire.inference.model.session import Logits, ModelSession
from riskwire.inference.model.tokens import Encoded, TokenEncoder, Window
from riskwire.settings import InferenceSettings

_SLICE = 16
"""Documents split in one step."""
_TAKE = 256
"""Most sentences tokenised in one step."""


class Engine:
    """Reads documents with a bundle; an asynchronous context manager.

    Raises (on entering): BundleError, DeviceError.
    """

    def __init__(self, bundle: Bundle, settings: InferenceSettings | None = None) -> None:
        self.bundle = bundle
        self.settings = settings or InferenceSettings()
        self._cache = SentenceCache(self.settings.cache)
        self._waiting: deque[str] = deque()
        self._arrived = asyncio.Event()
        self._slice = min(_SLICE, self.settings.queue)
        self._room = asyncio.Semaphore(max(1, self.settings.queue // self._slice))
        self._loop_task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        settings = self.settings
        self.session = await asyncio.to_thread(
            ModelSession,
            self.bundle,
            device=settings.device,
            precision=settings.precision,
            threads=settings.threads,
        )
        self._budget = tokens_of_one_run(self.session, settings.token_budget)
        self._encoder = await asyncio.to_thread(
            TokenEncoder, self.bundle.tokenizer_path, self.bundle.manifest.max_length
        )
        self._texts = ThreadPoolExecutor(1, "riskwire-text")
        self._runs = ThreadPoolExecutor(self.session.workers, "riskwire-run")
        self._decodes = ThreadPoolExecutor(1, "riskwire-decode")
        self._slots = asyncio.Semaphore(2 * self.session.workers)
        self._loop_task = asyncio.create_task(self._read_waiting(), name="riskwire-engine")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._loop_task = self._loop_task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._cache.fail_all(RiskwireError("the engine has been closed"))
        for pool in (self._texts, self._runs, self._decodes):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    async def analyse(
        self, documents: Sequence[Document], *, max_sentences: int | None = None, urgent: bool = False
    ) -> list[Reading]:
        """Read documents, in order. Waits for room while `settings.queue` documents are inside.

        Args:
            documents: what to read.
            max_sentences: most sentences read of each; `settings.max_sentences` when not given.
            urgent: read before what waits already: someone is looking at the answer.

        Raises:
            DeviceError: the device failed. RiskwireError: the model could not be run, or the engine is closed.
        """
        if self._loop_task is None or self._loop_task.done():
            raise RiskwireError("the engine is not running")
        most = self.settings.max_sentences if max_sentences is None else max_sentences
        slices = [documents[at : at + self._slice] for at in range(0, len(documents), self._slice)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._analyse_slice(one, most, urgent)) for one in slices]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [reading for task in tasks for reading in task.result()]

    async def _analyse_slice(self, documents: Sequence[Document], most: int, urgent: bool) -> list[Reading]:
        async with self._room:
            metrics.INFERENCE_QUEUE.inc(len(documents))
            try:
                loop = asyncio.get_running_loop()
                split = await loop.run_in_executor(self._texts, _split, documents, most)
                asked = [
                    [self._ask(document.content[place.start : place.end], urgent) for place in places]
                    for document, (places, _) in zip(documents, split, strict=True)
                ]
                readings = []
                for document, (places, skipped), answers in zip(documents, split, asked, strict=True):
                    read = [
                        ReadSentence(place, await _answered(answer))
                        for place, answer in zip(places, answers, strict=True)
                    ]
                    readings.append(Reading(document, tuple(read), skipped))
                return readings
            finally:
                metrics.INFERENCE_QUEUE.dec(len(documents))

    def _ask(self, text: str, urgent: bool) -> SentenceReading | asyncio.Future[SentenceReading]:
        """The reading of a sentence, or its future; a sentence nobody has asked for before joins those waiting."""
        if self._loop_task is None or self._loop_task.done():
            raise RiskwireError("the engine is not running")
        known = self._cache.get(text)
        if known is not None:
            metrics.SENTENCES.labels(how="kept").inc()
            return known
        metrics.SENTENCES.labels(how="computed").inc()
        future = self._cache.expect(text)
        (self._waiting.appendleft if urgent else self._waiting.append)(text)
        self._arrived.set()
        return future

    async def _read_waiting(self) -> None:
        """Take what waits, for ever; a slot for its batches is waited for before more is taken."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._arrived.wait()
                    texts = [self._waiting.popleft() for _ in range(min(_TAKE, len(self._waiting)))]
                    if not self._waiting:
                        self._arrived.clear()
                    await self._start(texts, group)
        except BaseException as error:
            self._cache.fail_all(error if isinstance(error, RiskwireError) else RiskwireError("the engine has stopped"))
            raise

    async def _start(self, texts: list[str], group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        try:
            encoded = await loop.run_in_executor(self._texts, self._encoder.encode, texts)
        except Exception as error:  # noqa: BLE001 - those who asked for these sentences are told, the engine goes on
            self._fail(texts, error)
            return
        job = _Job(texts, encoded)
        for batch in pack([len(window) for window in job.flat], self._budget, self.session.workers):
            await self._slots.acquire()
            group.create_task(self._finish(job, batch))

    async def _finish(self, job: _Job, batch: Batch) -> None:
        """Run and decode one batch; whoever completes a sentence answers it."""
        loop = asyncio.get_running_loop()
        try:
            logits = await loop.run_in_executor(self._runs, self._run, [job.flat[row] for row in batch.rows], batch)
            complete = job.completed(batch, logits)
            readings = await loop.run_in_executor(self._decodes, self._decode, job, complete)
            for at, reading in readings:
                self._cache.put(job.texts[at], reading)
        except Exception as error:  # noqa: BLE001 - those who asked for these sentences are told, the engine goes on
            self._fail([job.texts[job.owner[row]] for row in batch.rows], error)
        finally:
            self._slots.release()

    def _run(self, windows: list[Window], batch: Batch) -> list[Logits]:
        started = time.perf_counter()
        logits = run_batch(self.session, windows, batch.length)
        metrics.INFERENCE_SECONDS.observe(time.perf_counter() - started)
        metrics.INFERENCE_BATCH.observe(len(windows))
        return logits

    def _decode(self, job: _Job, complete: list[int]) -> list[tuple[int, SentenceReading]]:
        heads = self.bundle.manifest.heads
        return [(at, decode_sentence(job.texts[at], job.encoded[at], job.logits_of(at), heads)) for at in complete]

    def _fail(self, texts: Sequence[str], error: Exception) -> None:
        known = error if isinstance(error, RiskwireError) else RiskwireError(f"a sentence could not be read: {error!r}")
        for text in texts:
            self._cache.fail(text, known)


class _Job:
    """Sentences tokenised together, their windows in one row after another, and the logits that have come so far."""

    def __init__(self, texts: list[str], encoded: list[Encoded]) -> None:
        self.texts = texts
        self.encoded = encoded
        self.flat = [window for one in encoded for window in one.windows]
        self.owner = [at for at, one in enumerate(encoded) for _ in one.windows]
        self._first = [0, *accumulate(len(one.windows) for one in encoded)]
        self._missing = [len(one.windows) for one in encoded]
        self._logits: list[Logits | None] = [None] * len(self.flat)

    def completed(self, batch: Batch, logits: list[Logits]) -> list[int]:
        """Note a batch's logits; the sentences that now have all of theirs."""
        complete = []
        for row, values in zip(batch.rows, logits, strict=True):
            self._logits[row] = values
            at = self.owner[row]
            self._missing[at] -= 1
            if not self._missing[at]:
                complete.append(at)
        return complete

    def logits_of(self, at: int) -> list[Logits]:
        """Logits of a complete sentence, window by window."""
        rows = range(self._first[at], self._first[at + 1])
        return [values for row in rows if (values := self._logits[row]) is not None]


def _split(documents: Sequence[Document], most: int) -> list[tuple[list[Sentence], int]]:
    """The sentences of each document that are read, and how many are not."""
    split = []
    for document in documents:
        places = list(document.sentences())
        split.append((places[:most], max(0, len(places) - most)))
    return split


async def _answered(answer: SentenceReading | asyncio.Future[SentenceReading]) -> SentenceReading:
    if isinstance(answer, SentenceReading):
        return answer
    return await asyncio.shield(answer)  # a reader that leaves must not take the answer from the others
