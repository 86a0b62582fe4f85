"""The batching engine: tokenizes, runs and decodes waiting sentences in overlapping steps, off the event loop.

    predict ─► split ─► waiting ─► tokenize ─► pack ─┬─► run ─► decode ─► cache, futures
              (thread)            (thread)           └─► …  (as many parallel runs as the session has workers)

No step waits for a batch to fill: it takes what is waiting. So a single sentence is answered at once, and many
sentences form large batches. All stage tasks, `score` and the API share one engine, and a batch mixes their sentences.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from riskwire import metrics
from riskwire.errors import LimitError, RiskwireError
from riskwire.inference.model.batches import (
    ModelWindows,
    SentenceGroup,
    WindowBatch,
    max_tokens_per_run,
    pack,
    padding,
    run_batch,
)
from riskwire.inference.model.bundle import Bundle, BundleModel
from riskwire.inference.model.cache import SentenceCache
from riskwire.inference.model.decoding import decode_sentence
from riskwire.inference.model.prediction import DocumentPrediction, PredictedSentence, SentencePrediction
from riskwire.inference.model.sentences import SentenceSpan, TextDocument
from riskwire.inference.model.session import Logits, ModelSession
from riskwire.inference.model.tokens import TokenEncoder, TokenWindow
from riskwire.inference.model.turns import Turns
from riskwire.settings import InferenceSettings

_SLICE = 16
"""Documents that are split into sentences in one call of the thread."""
_MAX_TOKENIZED = 256
"""Sentences that are tokenized in one call of the thread."""


class Engine:
    """Predicts documents with a bundle; an asynchronous context manager.

    Raises:
        BundleError: on entering, the bundle cannot be used.
        DeviceError: on entering, the device is not available.
    """

    def __init__(self, bundle: Bundle, settings: InferenceSettings | None = None) -> None:
        """Prepares an engine; entering its context loads the model and starts its threads."""
        self.bundle = bundle
        self.settings = settings or InferenceSettings()
        self._cache = SentenceCache(self.settings.cache)
        self._waiting = Turns()
        """Sentences that wait to be tokenized."""
        self._arrived = asyncio.Event()
        self._slice = min(_SLICE, self.settings.queue)
        """Documents of a slice; `settings.queue` limits the documents of all slices under way."""
        self._slices_inside = asyncio.Semaphore(max(1, self.settings.queue // self._slice))
        self._loop_task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Loads the model and the tokenizer in a thread, and starts the threads and the batching task.

        Raises:
            DeviceError: the requested device is not available.
            RiskwireError: the model or the tokenizer cannot be loaded.
        """
        settings = self.settings
        self._readers = [await asyncio.to_thread(_Reader, self.bundle, model, settings) for model in self.bundle.models]
        self.session = self._readers[0].session
        metrics.DEVICE.info(
            {
                "device": self.session.device,
                "provider": self.session.provider,
                "precision": self.session.precision,
                "bundle": self.bundle.label,
            }
        )
        self._text_thread = ThreadPoolExecutor(1, "riskwire-text")
        self._run_threads = ThreadPoolExecutor(self.session.workers, "riskwire-run")
        self._decode_thread = ThreadPoolExecutor(1, "riskwire-decode")
        self._batch_slots = asyncio.Semaphore(2 * self.session.workers)
        self._loop_task = asyncio.create_task(self._process_waiting(), name="riskwire-engine")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the batching task and the threads. Requests that are waiting fail with a `RiskwireError`."""
        task, self._loop_task = self._loop_task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._cache.fail_all(RiskwireError("the engine has been closed"))
        for pool in (self._text_thread, self._run_threads, self._decode_thread):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    async def predict(
        self,
        documents: Sequence[TextDocument],
        *,
        max_sentences: int | None = None,
        max_in_all: int | None = None,
        urgent: bool = False,
    ) -> list[DocumentPrediction]:
        """Returns the predictions for documents, in order. Waits while `settings.queue` documents are in the engine.

        If one part of the documents fails, the others are cancelled, and the first error is raised. Sentences that wait
        are dropped once no caller awaits them.

        Args:
            max_sentences: the most sentences of each document to read; None for `settings.max_sentences`.
            max_in_all: the most sentences of all documents together; None for any number.
            urgent: take turns with the sentences of news, because a person waits for the answer.

        Raises:
            LimitError: the documents have more than `max_in_all` sentences.
            DeviceError: the device failed.
            RiskwireError: the model could not be run, or the engine is not running.
        """
        self._check_running()
        limit = self.settings.max_sentences if max_sentences is None else max_sentences
        slices = [documents[start : start + self._slice] for start in range(0, len(documents), self._slice)]
        work = _Request(limit, max_in_all, urgent)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._predict_slice(part, work)) for part in slices]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [prediction for task in tasks for prediction in task.result()]

    async def _predict_slice(self, documents: Sequence[TextDocument], work: _Request) -> list[DocumentPrediction]:
        """Splits documents into sentences, requests a prediction for each sentence and returns the results by document.

        Waits while too many slices (parts of a call of `predict`) are in progress. A metric has the number of documents
        in progress.

        Raises:
            LimitError: see `predict`.
        """
        async with self._slices_inside:
            metrics.INFERENCE_QUEUE.inc(len(documents))
            awaited: list[tuple[str, asyncio.Future[SentencePrediction]]] = []
            try:
                loop = asyncio.get_running_loop()
                split = await loop.run_in_executor(self._text_thread, _split, documents, work.max_sentences)
                work.count(sum(len(spans) for spans, _ in split))
                # Every sentence is requested before the first answer is awaited, so that they form large batches.
                requested = [
                    [self._request(document.content[span.start : span.end], work, awaited) for span in spans]
                    for document, (spans, _) in zip(documents, split, strict=True)
                ]
                predictions = []
                for document, (spans, skipped), answers in zip(documents, split, requested, strict=True):
                    sentences = [
                        PredictedSentence(span, await _resolved(answer))
                        for span, answer in zip(spans, answers, strict=True)
                    ]
                    predictions.append(DocumentPrediction(document, tuple(sentences), skipped))
                return predictions
            finally:
                for text, future in awaited:
                    self._cache.release(text, future)
                metrics.INFERENCE_QUEUE.dec(len(documents))

    def _request(
        self, text: str, work: _Request, awaited: list[tuple[str, asyncio.Future[SentencePrediction]]]
    ) -> SentencePrediction | asyncio.Future[SentencePrediction]:
        """Returns the cached prediction for a sentence, or a future of it.

        A sentence that is being computed already shares its future. A sentence that is neither cached nor being
        computed waits for its turn. A metric counts both cases.

        Args:
            awaited: gets the sentence and its future, if there is one.

        Raises:
            RiskwireError: the engine is not running.
        """
        self._check_running()
        known = self._cache.get(text)
        if known is not None:
            metrics.SENTENCES.labels(result="cached").inc()
            if isinstance(known, asyncio.Future):
                awaited.append((text, known))
            return known
        metrics.SENTENCES.labels(result="computed").inc()
        future = self._cache.expect(text)
        awaited.append((text, future))
        self._waiting.add(text, work.turn)
        self._arrived.set()
        return future

    def _check_running(self) -> None:
        if self._loop_task is None or self._loop_task.done():
            raise RiskwireError("the engine is not running")

    async def _process_waiting(self) -> None:
        """Starts batches of the sentences in the queue until it is cancelled; the task of the engine.

        It takes up to `_MAX_TOKENIZED` sentences at a time, and more only when its last batches all have a slot. When
        it fails or is cancelled, all requests fail.
        """
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._arrived.wait()
                    texts = [text for text in self._waiting.take(_MAX_TOKENIZED) if not self._cache.drop_unwanted(text)]
                    if not self._waiting:
                        self._arrived.clear()
                    if texts:
                        await self._start_batches(texts, group)
        except BaseException as error:
            self._cache.fail_all(error if isinstance(error, RiskwireError) else RiskwireError("the engine has stopped"))
            raise

    async def _start_batches(self, texts: list[str], group: asyncio.TaskGroup) -> None:
        """Tokenizes sentences, packs them into batches and starts a task of `group` for each batch when a slot is free.

        If the tokenizer fails, the requests for these sentences fail.
        """
        loop = asyncio.get_running_loop()
        try:
            parts = await loop.run_in_executor(self._text_thread, self._tokenize, texts)
        except Exception as error:  # noqa: BLE001 - fails the requests for these sentences; the engine continues
            self._fail(texts, error)
            return
        work = SentenceGroup(texts, parts)
        for reader, part in zip(self._readers, parts, strict=True):
            lengths = [len(window) for window in part.windows]
            for batch in pack(lengths, reader.token_budget, self.session.workers):
                await self._batch_slots.acquire()
                group.create_task(self._run_and_decode(work, part, batch))

    def _tokenize(self, texts: list[str]) -> list[ModelWindows]:
        """Returns the tokens of sentences for each model; runs in a thread."""
        return [ModelWindows(reader.session, reader.encoder.encode(texts)) for reader in self._readers]

    async def _run_and_decode(self, work: SentenceGroup, part: ModelWindows, batch: WindowBatch) -> None:
        """Runs a model on one batch, and resolves the sentences that it completes.

        A sentence may have several windows of tokens, in different batches, and those of two models; the last one
        completes it. An error fails the requests for the sentences of the batch, and is not raised. Frees the slot of
        the batch at the end.

        Args:
            work: the sentences that were tokenized together.
            part: their tokens for one model, and the logits received so far.
            batch: the windows of `part` to run, by position (`rows`).
        """
        loop = asyncio.get_running_loop()
        try:
            logits = await loop.run_in_executor(
                self._run_threads, self._run, part, [part.windows[row] for row in batch.rows], batch
            )
            complete = work.count(part.add_logits(batch, logits))
            predictions = await loop.run_in_executor(self._decode_thread, self._decode, work, complete)
            for index, prediction in predictions:
                self._cache.put(work.texts[index], prediction)
        except Exception as error:  # noqa: BLE001 - fails the requests for these sentences; the engine continues
            self._fail([work.texts[part.sentence_of_row[row]] for row in batch.rows], error)
        finally:
            self._batch_slots.release()

    def _run(self, part: ModelWindows, windows: list[TokenWindow], batch: WindowBatch) -> list[Logits]:
        """Returns the logits of a batch, one for each token window. Runs in a thread and measures the time."""
        started = time.perf_counter()
        session = part.session
        logits = run_batch(session, windows, batch.length)
        metrics.INFERENCE_SECONDS.observe(time.perf_counter() - started)
        metrics.INFERENCE_BATCH.observe(len(windows))
        metrics.TOKENS.labels(kind="text").inc(sum(map(len, windows)))
        metrics.TOKENS.labels(kind="padding").inc(padding(session, windows, batch.length))
        return logits

    def _decode(self, work: SentenceGroup, indexes: list[int]) -> list[tuple[int, SentencePrediction]]:
        """Returns (index, prediction) for sentences whose logits are complete; runs in a thread."""
        heads = self.bundle.manifest.heads
        first, *further_windows = work.windows
        return [
            (
                index,
                decode_sentence(
                    work.texts[index],
                    *first.read(index),
                    heads,
                    for_sentiment=further_windows[0].read(index) if further_windows else None,
                ),
            )
            for index in indexes
        ]

    def _fail(self, texts: Sequence[str], error: Exception) -> None:
        """Fails the requests for sentences with an error; one that is no RiskwireError is described by a new one."""
        if not isinstance(error, RiskwireError):
            error = RiskwireError(f"a sentence could not be read: {error!r}")
        for text in texts:
            self._cache.fail(text, error)


class _Request:
    """One call of `predict`: its limits and its turn.

    Attributes:
        max_sentences: the most sentences of each document; the others are skipped.
        turn: the key of the queue in which its sentences wait: None for the queue of the news, else a unique object.
    """

    def __init__(self, max_sentences: int, max_in_all: int | None, urgent: bool) -> None:
        """Takes the limits; see `Engine.predict`."""
        self.max_sentences = max_sentences
        self.turn = object() if urgent else None
        self._max_in_all = max_in_all
        self._sentences = 0

    def count(self, sentences: int) -> None:
        """Counts sentences of a slice. Raises a `LimitError` if there are more than `max_in_all` now."""
        self._sentences += sentences
        if self._max_in_all is not None and self._sentences > self._max_in_all:
            raise LimitError(
                f"more than {self._max_in_all} sentences", value=self._sentences, do="Send fewer texts at once."
            )


class _Reader:
    """A model of the bundle, and its tokenizer.

    Attributes:
        token_budget: the most padded tokens of a batch.
    """

    def __init__(self, bundle: Bundle, model: BundleModel, settings: InferenceSettings) -> None:
        """Loads the model and the tokenizer.

        Raises:
            BundleError: a file of the bundle cannot be used.
            DeviceError: the requested device is not available.
        """
        self.session = ModelSession(
            bundle, model=model, device=settings.device, precision=settings.precision, threads=settings.threads
        )
        self.encoder = TokenEncoder(model.tokenizer_path, model.max_length)
        self.token_budget = max_tokens_per_run(self.session, settings.token_budget)


def _split(documents: Sequence[TextDocument], max_sentences: int) -> list[tuple[list[SentenceSpan], int]]:
    """Returns for each document the sentences to read, and the number of sentences beyond the limit."""
    split = []
    for document in documents:
        spans = list(document.sentence_spans())
        split.append((spans[:max_sentences], max(0, len(spans) - max_sentences)))
    return split


async def _resolved(answer: SentencePrediction | asyncio.Future[SentencePrediction]) -> SentencePrediction:
    """Returns the prediction that a request for a sentence led to, waiting for its future."""
    if isinstance(answer, SentencePrediction):
        return answer
    return await asyncio.shield(answer)  # a cancelled request must not cancel the future of the other requests
