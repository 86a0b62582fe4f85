"""Sentences already read, and those being read: identical ones are computed once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from riskwire.inference.model.reading import SentenceReading


class SentenceCache:
    """Readings by sentence, at most `most`, the least recently used dropped first. Used on the event loop only."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, SentenceReading] = OrderedDict()
        self._coming: dict[str, asyncio.Future[SentenceReading]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, text: str) -> SentenceReading | asyncio.Future[SentenceReading] | None:
        """The reading, or the future of one that is being computed."""
        kept = self._kept.get(text)
        if kept is not None:
            self._kept.move_to_end(text)
            return kept
        return self._coming.get(text)

    def expect(self, text: str) -> asyncio.Future[SentenceReading]:
        """A future for a sentence that is going to be read; `put` or `fail` must follow."""
        future: asyncio.Future[SentenceReading] = asyncio.get_running_loop().create_future()
        self._coming[text] = future
        return future

    def put(self, text: str, reading: SentenceReading) -> None:
        """A sentence has been read."""
        future = self._coming.pop(text, None)
        if future is not None and not future.done():
            future.set_result(reading)
        if self._most:
            self._kept[text] = reading
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def fail(self, text: str, error: BaseException) -> None:
        """A sentence could not be read."""
        future = self._coming.pop(text, None)
        if future is not None and not future.done():
            future.set_exception(error)
            future.exception()  # its readers may be gone: their leaving is no error

    def fail_all(self, error: BaseException) -> None:
        """Nothing that is being read will come."""
        for text in list(self._coming):
            self.fail(text, error)
