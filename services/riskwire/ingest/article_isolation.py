"""Publishes articles one by one after a step of several was refused, so that each is refused only for itself.

An article that is too large is shortened, because a missed article may be a missed alert: half of its text is left out,
then half of the rest, until it is accepted. An article that is refused even without text becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from riskwire import metrics
from riskwire.bus import Message, Outgoing
from riskwire.errors import TooLargeError
from riskwire.ingest.parsing.clean import cut
from riskwire.records import Article
from riskwire.stage import Isolation, dead_letter

log = structlog.get_logger(__name__)

MIN_TEXT = 200
"""Characters. A text is not shortened to less than this, but left out."""


@dataclass(frozen=True, slots=True)
class ArticlePart:
    """The smallest part of a step: an article and what must be committed with it.

    Attributes:
        article: None for a part without an article, which cannot be shortened or refused.
        origin: the item or line that the article was made from, as the message of a dead letter.
    """

    article: Article | None
    origin: Message


P = TypeVar("P", bound=ArticlePart)

Publish = Callable[[Sequence[P], Sequence[tuple[P, Outgoing]]], Awaitable[None]]
"""Publishes one step: refused parts, each with its dead letter, and the accepted parts (the first argument)."""


class ArticleIsolation:
    """Publishes the articles of one source, and counts refused articles in a row over all its steps.

    Args:
        stage: the name of the stage, for dead letters and errors.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._isolation = Isolation(stage)

    def accepted(self) -> None:
        """Ends the row of refused articles: several parts were published in one step."""
        self._isolation.accepted()

    async def publish_each(self, parts: Sequence[P], publish: Publish[P]) -> None:
        """Publishes each part in a separate step. A part is an article and what must be committed with it.

        An article that is too large is shortened until it is accepted. After the bus has refused an article for its
        size, later articles of these parts that are at least as large are shortened before they are published. A
        refused article becomes a dead letter, which is published with the next accepted part, or at the end.

        Args:
            publish: publishes one step of accepted parts (first argument) and of refused parts with their dead letters.

        Raises:
            RiskwireError: so many articles in a row were refused that the articles cannot be the cause.
            SchemaError: a part without an article was refused.
        """
        refused_size = _RefusedSize()

        async def take(part: P, refused: Sequence[tuple[P, Outgoing]]) -> None:
            await self._publish(part, refused, publish, refused_size)

        async def finish(refused: Sequence[tuple[P, Outgoing]]) -> None:
            await publish([], refused)

        await self._isolation.take_each(
            parts,
            take=take,
            refuse=self._refuse,
            finish=finish,
            place=lambda part: None if part.article is None else part.origin.where,
        )

    async def _publish(
        self, part: P, refused: Sequence[tuple[P, Outgoing]], publish: Publish[P], refused_size: _RefusedSize
    ) -> None:
        """Publishes one part in a separate step. Halves the text of an article until it fits into a record.

        Args:
            part: the records of one item: at most one article, with its state.
            refused: earlier parts that were refused, each with the dead letter that replaces its article.
            publish: publishes one step of accepted and refused parts.
            refused_size: the sizes of articles that were too large, so that later ones as large are shortened at once.

        Raises:
            TooLargeError: the article is too large even without a text.
        """
        article = part.article
        while article is not None and article.text and refused_size.is_reached_by(article):
            article = shortened(article)
        while True:
            try:
                await publish([replace(part, article=article)], refused)
            except TooLargeError:
                if article is None or not article.text:
                    raise
                refused_size.add(article)
                article = shortened(article)
            else:
                break
        if article is not None and part.article is not None and article is not part.article:
            metrics.SHORTENED_ARTICLES.inc()
            log.warning(
                "article shortened, its full text was too large for a record",
                where=part.origin.where,
                id=article.id,
                characters=len(part.article.text),
                kept=len(article.text),
            )

    async def _refuse(self, part: P, error: Exception) -> tuple[P, Outgoing]:
        """Returns a refused part with the dead letter of its article.

        Raises:
            Exception: `error` itself, if the part has no article that could be at fault.
        """
        if part.article is None:
            raise error
        log.error("article to dead letters", where=part.origin.where, id=part.article.id, error=str(error))
        return part, dead_letter(self._stage, part.origin, error)


def shortened(article: Article) -> Article:
    """Returns an article with half of its text, marked as `cut`; with no text if half is less than `MIN_TEXT`."""
    max_length = len(article.text) // 2
    text = cut(article.text, max_length) if max_length >= MIN_TEXT else ""
    return article.model_copy(update={"text": text, "cut": True})


class _RefusedSize:
    """The smallest record size that the bus has refused."""

    def __init__(self) -> None:
        self._smallest: int | None = None

    def add(self, article: Article) -> None:
        """Records that an article was refused for its size."""
        size = len(article.to_bytes())
        self._smallest = size if self._smallest is None else min(size, self._smallest)

    def is_reached_by(self, article: Article) -> bool:
        """Returns whether an article is at least as large as one that was refused."""
        return self._smallest is not None and len(article.to_bytes()) >= self._smallest
