"""Refused articles are shortened only as far as necessary; other articles are published unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from riskwire.bus import Message, Outgoing
from riskwire.dead_letters.reading import StoredDeadLetter
from riskwire.dead_letters.replay import replay_obstacle
from riskwire.errors import SchemaError, TooLargeError
from riskwire.ingest.article_isolation import MIN_TEXT, ArticleIsolation, ArticlePart, shortened
from riskwire.records import Article, DeadLetter
from riskwire.stage import cut_to_size, dead_letter

AT = datetime(2026, 3, 2, tzinfo=UTC)


def article(text: str, name: str = "a") -> Article:
    """Returns an article with this text, and `name` as its id."""
    return Article(
        id=name, version=1, url="https://e.example/", source="e", title="Globex", text=text, published_at=AT, seen_at=AT
    )


def part(published: Article | None) -> ArticlePart:
    return ArticlePart(published, Message("feed:e", 0, 1, None, b""))


@given(st.text(max_size=5_000))
def test_a_shortened_article_keeps_at_most_the_first_half_of_its_text(text: str) -> None:
    """Nothing else changes, except that `cut` is set."""
    original = article(text)
    half = shortened(original)
    assert half.cut
    assert text.startswith(half.text)
    assert len(half.text) <= len(text) // 2
    assert half.model_copy(update={"text": text, "cut": False}) == original


def test_repeated_shortening_ends_without_text_rather_than_with_a_few_words() -> None:
    """A text of 26,000 characters is gone after at most eight halvings. None leaves much less than `MIN_TEXT`."""
    current, lengths = article("much is said " * 2_000), []
    while current.text:
        current = shortened(current)
        lengths.append(len(current.text))
    assert len(lengths) <= 8
    assert all(length == 0 or length > MIN_TEXT * 0.8 for length in lengths)


def test_the_cut_dead_letter_of_a_refused_article_cannot_be_replayed() -> None:
    """The article has no text, and its record is a byte larger than a dead letter may keep."""
    bare = article("").model_copy(update={"title": "Globex falls " * 100})
    outgoing = dead_letter("ingest", Message("feed:e", 0, 1, "a", bare.to_bytes()), TooLargeError("no"))
    letter = cut_to_size(DeadLetter.model_validate_json(outgoing.value), max_bytes=len(bare.to_bytes()) - 1)
    assert letter.cut
    assert "too large to be kept whole" in (replay_obstacle(StoredDeadLetter(0, 0, letter), {}) or "")


class SizeLimit:
    """Publishes steps, and refuses those with an article whose record is larger than `max_bytes`.

    Attributes:
        error: the class of the error that a refused step raises.
        steps: the number of steps, refused ones included.
        published: the articles of the accepted steps, in order.
        refused_sizes: the sizes of the articles that were too large, in order.
        dead_letters: the number of dead letters of the accepted steps.
    """

    def __init__(self, max_bytes: int, error: type[SchemaError] = TooLargeError) -> None:
        """Begins without steps; `error` is the class of the error that a refused step raises."""
        self.max_bytes = max_bytes
        self.error = error
        self.steps = 0
        self.published: list[Article] = []
        self.refused_sizes: list[int] = []
        self.dead_letters = 0

    async def publish(self, parts: Sequence[ArticlePart], refused: Sequence[tuple[ArticlePart, Outgoing]]) -> None:
        """Publishes a step, or fails when an article is larger than `max_bytes`, as the bus does.

        Args:
            parts: the articles to publish.
            refused: earlier parts that were refused, each with its dead letter.
        """
        self.steps += 1
        articles = [part.article for part in parts if part.article is not None]
        too_large = [len(article.to_bytes()) for article in articles if len(article.to_bytes()) > self.max_bytes]
        if too_large:
            self.refused_sizes += too_large
            raise self.error("no")
        self.published += articles
        self.dead_letters += len(refused)


BARE = len(article("", "00").to_bytes())
"""The size of an article without text."""


@given(st.lists(st.integers(0, 20_000), max_size=30), st.integers(BARE, 20_000))
@example(sizes=[0] * 9 + [264, 263], max_bytes=BARE + 263)
async def test_every_article_is_published_in_order_and_only_those_too_large_are_cut(
    sizes: list[int], max_bytes: int
) -> None:
    """A cut article keeps at least about half of the text that would fit, or has no text if that would be little.

    Args:
        sizes: the number of characters of each text.
        max_bytes: the largest record; every article fits without its text.
    """
    limit = SizeLimit(max_bytes)
    articles = [article("x" * size, f"{number:02}") for number, size in enumerate(sizes)]
    await ArticleIsolation("ingest").publish_each([part(original) for original in articles], limit.publish)
    assert [published.id for published in limit.published] == [original.id for original in articles]
    for original, published in zip(articles, limit.published, strict=True):
        if len(original.to_bytes()) <= max_bytes:
            assert published == original
        else:
            assert published.cut
            room = max_bytes - BARE
            assert len(published.text) >= room // 2 - 1 or len(published.text) < MIN_TEXT
    assert limit.dead_letters == 0
    strictly_decreasing = sorted(set(limit.refused_sizes), reverse=True)
    assert limit.refused_sizes == strictly_decreasing, "a size that was refused is not tried again"


async def test_an_article_refused_for_another_reason_becomes_a_dead_letter_and_is_not_shortened() -> None:
    """The error of the step is a `SchemaError`, which says nothing about sizes. Of three articles the second is
    refused.

    The third step publishes the third article with the dead letter of the second.
    """
    limit = SizeLimit(BARE + 100, SchemaError)
    parts = [part(article("x" * size, f"{size}")) for size in (50, 500, 60)]
    await ArticleIsolation("ingest").publish_each(parts, limit.publish)
    assert [(published.id, published.cut) for published in limit.published] == [("50", False), ("60", False)]
    assert limit.dead_letters == 1
    assert limit.steps == 3


async def test_a_refused_part_without_an_article_raises_its_error() -> None:
    """Such a part cannot be shortened or become a dead letter, so `publish_each` passes the error on."""

    async def refuse(parts: Sequence[ArticlePart], refused: Sequence[tuple[ArticlePart, Outgoing]]) -> None:
        raise TooLargeError("no")

    with pytest.raises(TooLargeError):
        await ArticleIsolation("replay").publish_each([part(None)], refuse)
