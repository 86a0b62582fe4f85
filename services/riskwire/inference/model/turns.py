"""Sentences that wait for the model, and whose turn it is."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable


class Turns:
    """Sentences that wait, by who asked for them: the news, or a request of a person.

    News and requests take turns: each gets half, or more where the other does not need its half. Requests share their
    half equally. So a person is answered soon whatever news waits, and no request stops the news.
    """

    def __init__(self) -> None:
        self._news: deque[str] = deque()
        self._requests: OrderedDict[Hashable, deque[str]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._news) + sum(map(len, self._requests.values()))

    def add(self, text: str, request: Hashable | None) -> None:
        """Adds a sentence at the end of the news, or of a request."""
        if request is None:
            self._news.append(text)
        else:
            self._requests.setdefault(request, deque()).append(text)

    def take(self, count: int) -> list[str]:
        """Removes and returns up to `count` sentences whose turn it is, those of requests first."""
        requested = sum(map(len, self._requests.values()))
        from_news = min(len(self._news), max(count - count // 2, count - requested))
        batch = []
        for _ in range(min(requested, count - from_news)):
            request, texts = self._requests.popitem(last=False)
            batch.append(texts.popleft())
            if texts:
                self._requests[request] = texts  # now the last: its next turn comes after those of the others
        batch += [self._news.popleft() for _ in range(from_news)]
        return batch
