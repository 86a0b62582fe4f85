"""The cache of sentence predictions: identical sentences are computed once, also when both are under way."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from riskwire.inference.model.prediction import SentencePrediction


@dataclass(slots=True)
class _Pending:
    """A prediction that is being computed, and how many requests await it."""

    future: asyncio.Future[SentencePrediction]
    requests: int = 1


class SentenceCache:
    """Predictions by sentence, with the least recently used evicted first. For use on the event loop only.

    Args:
        max_entries: the most predictions that are cached; 0 caches none.
    """

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._cached: OrderedDict[str, SentencePrediction] = OrderedDict()
        self._pending: dict[str, _Pending] = {}

    def __len__(self) -> int:
        return len(self._cached)

    def get(self, text: str) -> SentencePrediction | asyncio.Future[SentencePrediction] | None:
        """Returns the cached prediction, or the future of one that is being computed, or None.

        A cached prediction becomes the most recently used one, which is evicted last. A caller that gets a future calls
        `release` when it awaits it no more.
        """
        cached = self._cached.get(text)
        if cached is not None:
            self._cached.move_to_end(text)
            return cached
        pending = self._pending.get(text)
        if pending is None:
            return None
        pending.requests += 1
        return pending.future

    def expect(self, text: str) -> asyncio.Future[SentencePrediction]:
        """Returns a future for a sentence that will be computed.

        The caller must call `put`, `fail` or `drop_unwanted` later, and `release` when it awaits the future no more.
        """
        future: asyncio.Future[SentencePrediction] = asyncio.get_running_loop().create_future()
        self._pending[text] = _Pending(future)
        return future

    def release(self, text: str, future: asyncio.Future[SentencePrediction]) -> None:
        """Counts one request less that awaits the future of a sentence; no effect once it has a result."""
        pending = self._pending.get(text)
        if pending is not None and pending.future is future:
            pending.requests -= 1

    def drop_unwanted(self, text: str) -> bool:
        """Forgets the future of a sentence that no request awaits any more. Returns whether it did."""
        pending = self._pending.get(text)
        if pending is None or pending.requests > 0:
            return False
        del self._pending[text]
        pending.future.cancel()
        return True

    def put(self, text: str, prediction: SentencePrediction) -> None:
        """Caches the prediction of a sentence, and resolves the future that its requests await, if there is one.

        The least recently used predictions beyond `max_entries` are evicted; with 0 nothing is cached.
        """
        pending = self._pending.pop(text, None)
        if pending is not None and not pending.future.done():
            pending.future.set_result(prediction)
        if self._max_entries:
            self._cached[text] = prediction
            while len(self._cached) > self._max_entries:
                self._cached.popitem(last=False)

    def fail(self, text: str, error: BaseException) -> None:
        """Lets the requests that await a sentence raise `error`, and forgets its future; no effect without one."""
        pending = self._pending.pop(text, None)
        if pending is not None and not pending.future.done():
            pending.future.set_exception(error)
            pending.future.exception()  # marks it as retrieved: its callers may all have been cancelled

    def fail_all(self, error: BaseException) -> None:
        """Fails every pending future."""
        for text in list(self._pending):
            self.fail(text, error)
