"""Publishing piece by piece, after a step of several was refused: what is bad about one piece costs only that piece.

An article that is too large is shortened, since a missed article may be a missed alert: half of its text is left out,
and half of that again, until it is taken. One that is refused without any text goes to the dead letters.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from riskwire import metrics
from riskwire.bus import Message, Outgoing
from riskwire.errors import RiskwireError, SchemaError, TooLargeError
from riskwire.ingest.parsing.clean import cut
from riskwire.records import Article
from riskwire.stage import MAX_REFUSED_IN_A_ROW, dead_letter

log = structlog.get_logger(__name__)

LEAST_TEXT = 200
"""Characters: a text is not halved to less, but left out."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What goes out together, or not at all.

    Args:
        article: None where there is nothing to shorten or to refuse.
        origin: what a dead letter will say of it: where it came from, and as what.
    """

    article: Article | None
    origin: Message


P = TypeVar("P", bound=Piece)

Take = Callable[[Sequence[P], Sequence[tuple[P, Outgoing]]], Awaitable[None]]
"""Takes one step: pieces to publish and, before them, pieces each with the dead letter that goes out in its place."""


class Piecemeal:
    """Publishes the pieces of one source for as long as it is polled or read; counts refusals in a row over all of it.

    Args:
        stage: in whose name.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._in_a_row = 0

    def went_well(self) -> None:
        """Pieces were taken, all in one step."""
        self._in_a_row = 0

    async def publish(self, pieces: Sequence[P], take: Take[P]) -> None:
        """Publish each in a step of its own.

        As in the batch loop, dead letters go with the next piece that is not refused, or at the end. What the bus has
        refused for its size is not asked for again: larger articles among these pieces are shortened at once.

        Raises:
            RiskwireError: as many in a row were refused as say that it is not the articles.
            SchemaError: a piece without an article was refused.
        """
        dead: list[tuple[P, Outgoing]] = []
        too_large = _Bound()
        for piece in pieces:
            try:
                await self._publish(piece, dead, take, too_large)
            except SchemaError as error:
                if piece.article is None:
                    raise
                self._count(piece, error)
                log.error("article to dead letters", where=piece.origin.where, id=piece.article.id, error=str(error))
                dead.append((piece, dead_letter(self._stage, piece.origin, error)))
            else:
                dead = []
                self._in_a_row = 0 if piece.article is not None else self._in_a_row
        if dead:
            await take([], dead)

    async def _publish(self, piece: P, dead: Sequence[tuple[P, Outgoing]], take: Take[P], too_large: _Bound) -> None:
        whole, article = piece.article, piece.article
        while article is not None and article.text and too_large.excludes(article):
            article = shortened(article)
        while True:
            try:
                await take([replace(piece, article=article)], dead)
            except TooLargeError:
                if article is None or not article.text:
                    raise
                too_large.refused(article)
                article = shortened(article)
            else:
                break
        if article is not None and whole is not None and article is not whole:
            metrics.SHORTENED.inc()
            log.warning(
                "article shortened, all of it was too large for a record",
                where=piece.origin.where,
                id=article.id,
                characters=len(whole.text),
                kept=len(article.text),
            )

    def _count(self, piece: Piece, error: SchemaError) -> None:
        self._in_a_row += 1
        if self._in_a_row >= MAX_REFUSED_IN_A_ROW:
            raise RiskwireError(
                f"{self._in_a_row} articles in a row were refused; {self._stage} stops so that none is lost",
                where=piece.origin.where,
                do="Mend what the error says and start again",
            ) from error


def shortened(article: Article) -> Article:
    """An article with half of its text, or without any where little is left of it; marked as `cut`."""
    most = len(article.text) // 2
    text = cut(article.text, most) if most >= LEAST_TEXT else ""
    return article.model_copy(update={"text": text, "cut": True})


class _Bound:
    """The size from which on articles are refused, as far as that is known."""

    def __init__(self) -> None:
        self._least: int | None = None

    def refused(self, article: Article) -> None:
        size = len(article.to_bytes())
        self._least = size if self._least is None else min(size, self._least)

    def excludes(self, article: Article) -> bool:
        return self._least is not None and len(article.to_bytes()) >= self._least
