"""An article loses no more of its text than it must; what is refused for another reason loses none of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.bus import Message, Outgoing
from riskwire.dead_letters.letters import Letter, why_not
from riskwire.errors import SchemaError, TooLargeError
from riskwire.ingest.piecemeal import LEAST_TEXT, Piece, Piecemeal, shortened
from riskwire.records import Article, DeadLetter
from riskwire.stage import cut_to_size, dead_letter

AT = datetime(2026, 3, 2, tzinfo=UTC)


def article(text: str, name: str = "a") -> Article:
    return Article(
        id=name, version=1, url="https://e.example/", source="e", title="Globex", text=text, published_at=AT, seen_at=AT
    )


def piece(one: Article | None) -> Piece:
    return Piece(one, Message("feed:e", 0, 1, None, b""))


@given(st.text(max_size=5_000))
def test_a_shortened_article_is_the_beginning_of_what_it_was_and_says_so(text: str) -> None:
    whole = article(text)
    half = shortened(whole)
    assert half.cut
    assert text.startswith(half.text)
    assert len(half.text) <= len(text) // 2
    assert half.model_copy(update={"text": text, "cut": False}) == whole


def test_shortening_ends_without_text_and_not_with_a_scrap_of_it() -> None:
    one, lengths = article("much is said " * 2_000), []
    while one.text:
        one = shortened(one)
        lengths.append(len(one.text))
    assert len(lengths) <= 8
    assert all(length == 0 or length > LEAST_TEXT * 0.8 for length in lengths)


def test_what_is_refused_without_text_fits_no_letter_of_the_same_bound_and_that_is_said() -> None:
    bare = article("").model_copy(update={"title": "Globex falls " * 100})
    said = dead_letter("ingest", Message("feed:e", 0, 1, "a", bare.to_bytes()), TooLargeError("no"))
    letter = cut_to_size(DeadLetter.model_validate_json(said.value), max_bytes=len(bare.to_bytes()) - 1)
    assert letter.cut
    assert "too large to be kept whole" in (why_not(Letter(0, 0, letter), {}) or "")


class Narrow:
    """Takes steps whose articles have no more than `most` characters of text; keeps what it took."""

    def __init__(self, most: int, error: type[SchemaError] = TooLargeError) -> None:
        self.most = most
        self.error = error
        self.asked = 0
        self.taken: list[Article | None] = []
        self.dead = 0

    async def take(self, pieces: Sequence[Piece], dead: Sequence[tuple[Piece, Outgoing]]) -> None:
        self.asked += 1
        if any(one.article is not None and len(one.article.text) > self.most for one in pieces):
            raise self.error("no")
        self.taken += [one.article for one in pieces]
        self.dead += len(dead)


@given(st.lists(st.integers(0, 20_000), max_size=30), st.integers(0, 20_000))
async def test_every_article_comes_out_in_order_and_only_what_is_too_large_is_cut(sizes: list[int], most: int) -> None:
    narrow = Narrow(most)
    await Piecemeal("ingest").publish([piece(article("x" * size, f"{n}")) for n, size in enumerate(sizes)], narrow.take)
    assert [one.id for one in narrow.taken if one] == [f"{n}" for n in range(len(sizes))]
    for size, one in zip(sizes, narrow.taken, strict=True):
        assert one is not None
        if size <= most:
            assert (len(one.text), one.cut) == (size, False)
        else:
            assert one.cut
            assert len(one.text) >= most // 2 - 1 or len(one.text) * 2 < 2 * LEAST_TEXT
    assert narrow.dead == 0
    assert narrow.asked <= len(sizes) + 10, "what was refused for its size once is not asked for again"


async def test_an_article_that_is_refused_for_another_reason_is_a_dead_letter_and_shortens_no_other() -> None:
    narrow = Narrow(100, SchemaError)
    pieces = [piece(article("x" * size, f"{size}")) for size in (50, 500, 60)]
    await Piecemeal("ingest").publish(pieces, narrow.take)
    assert [(one.id, one.cut) for one in narrow.taken if one] == [("50", False), ("60", False)]
    assert narrow.dead == 1
    assert narrow.asked == 3


async def test_what_has_no_article_and_is_refused_is_nothing_to_go_on_from() -> None:
    async def refuse(pieces: Sequence[Piece], dead: Sequence[tuple[Piece, Outgoing]]) -> None:
        raise TooLargeError("no")

    with pytest.raises(TooLargeError):
        await Piecemeal("replay").publish([piece(None)], refuse)
