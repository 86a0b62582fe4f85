"""An engine that asks the model only for sentences it has not read before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from riskwire.backtest.readings import ReadingFile
from riskwire.errors import LimitError
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction, PredictedSentence, SentencePrediction
from riskwire.inference.model.sentences import SentenceSpan, TextDocument
from riskwire.settings import InferenceSettings


class CachedEngine(Engine):
    """An engine with a `ReadingFile`. The model is loaded for the first sentence that the cache lacks.

    Attributes:
        read: sentences that the model read.
        known: sentences that were in the cache.
    """

    def __init__(self, bundle: Bundle, settings: InferenceSettings, readings: ReadingFile) -> None:
        super().__init__(bundle, settings)
        self._readings = readings
        self._loaded = False
        self.read = 0
        self.known = 0

    async def __aenter__(self) -> Self:
        """Does nothing yet; see `predict`."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the threads, if the model was loaded."""
        if self._loaded:
            await super().__aexit__(kind, error, trace)

    async def predict(
        self,
        documents: Sequence[TextDocument],
        *,
        max_sentences: int | None = None,
        max_in_all: int | None = None,
        urgent: bool = False,
    ) -> list[DocumentPrediction]:
        """Returns the predictions for documents, in order, as `Engine.predict` does, and keeps what the model read.

        Raises:
            LimitError: the documents have more than `max_in_all` sentences.
            DeviceError: the device failed, or is not available.
            RiskwireError: the model could not be loaded or run, or the cache cannot be written.
        """
        limit = self.settings.max_sentences if max_sentences is None else max_sentences
        split = await asyncio.to_thread(lambda: [list(document.sentence_spans()) for document in documents])
        if max_in_all is not None and sum(len(spans[:limit]) for spans in split) > max_in_all:
            raise LimitError(f"more than {max_in_all} sentences", do="Send fewer texts at once.")
        texts = {
            _text(document, span): None
            for document, spans in zip(documents, split, strict=True)
            for span in spans[:limit]
        }
        predictions = await asyncio.to_thread(self._readings.get, texts)
        self.known += len(predictions)
        missing = [text for text in texts if text not in predictions]
        if missing:
            predictions |= await self._read(missing, urgent=urgent)
        return [
            DocumentPrediction(
                document,
                tuple(PredictedSentence(span, predictions[_text(document, span)]) for span in spans[:limit]),
                max(0, len(spans) - limit),
            )
            for document, spans in zip(documents, split, strict=True)
        ]

    async def _read(self, texts: Sequence[str], *, urgent: bool) -> dict[str, SentencePrediction]:
        """Returns what the model predicts for sentences, and adds it to the cache. Loads the model if needed."""
        if not self._loaded:
            await super().__aenter__()
            self._loaded = True
        # A sentence has at most the length of a title, so as a title it stays one sentence.
        read = await super().predict([TextDocument(text, len(text)) for text in texts], urgent=urgent)
        predictions = {text: document.sentences[0].prediction for text, document in zip(texts, read, strict=True)}
        await asyncio.to_thread(self._readings.put, predictions)
        self.read += len(texts)
        return predictions


def _text(document: TextDocument, span: SentenceSpan) -> str:
    return document.content[span.start : span.end]
