"""The cache of sentence predictions: identical sentences are computed once, also when both are under way."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from riskwire.inference.model.prediction import SentencePrediction


class SentenceCache:
    """Predictions by sentence, with the least recently used evicted first. For use on the event loop only.

    Args:
        max_entries: the most predictions that are cached; 0 caches none.
    """

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._cached: OrderedDict[str, SentencePrediction] = OrderedDict()
        self._pending: dict[str, asyncio.Future[SentencePrediction]] = {}

    def __len__(self) -> int:
        return len(self._cached)

    def get(self, text: str) -> SentencePrediction | asyncio.Future[SentencePrediction] | None:
        """Returns the cached prediction, or the future of one that is being computed, or None.

        A cached prediction becomes the most recently used one, which is evicted last.
        """
        cached = self._cached.get(text)
        if cached is not None:
            self._cached.move_to_end(text)
            return cached
        return self._pending.get(text)

    def expect(self, text: str) -> asyncio.Future[SentencePrediction]:
        """Returns a future for a sentence that will be computed. The caller must call `put` or `fail` later."""
        future: asyncio.Future[SentencePrediction] = asyncio.get_running_loop().create_future()
        self._pending[text] = future
        return future

    def put(self, text: str, prediction: SentencePrediction) -> None:
        """Caches the prediction of a sentence, and resolves the future that its requests await, if there is one.

        The least recently used predictions beyond `max_entries` are evicted; with 0 nothing is cached.
        """
        future = self._pending.pop(text, None)
        if future is not None and not future.done():
            future.set_result(prediction)
        if self._max_entries:
            self._cached[text] = prediction
            while len(self._cached) > self._max_entries:
                self._cached.popitem(last=False)

    def fail(self, text: str, error: BaseException) -> None:
        """Lets the requests that await a sentence raise `error`, and forgets its future; no effect without one."""
        future = self._pending.pop(text, None)
        if future is not None and not future.done():
            future.set_exception(error)
            future.exception()  # marks it as retrieved: its callers may all have been cancelled

    def fail_all(self, error: BaseException) -> None:
        """Fails every pending future."""
        for text in list(self._pending):
            self.fail(text, error)
