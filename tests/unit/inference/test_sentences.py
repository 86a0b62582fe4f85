"""Sentences: newswire is cut where sentences end, and offsets are exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.inference.model.sentences import MAX_SENTENCE, TextDocument


def cut(text: str) -> list[str]:
    return [text[one.start : one.end] for one in TextDocument(text).sentence_spans()]


@pytest.mark.parametrize(
    "sentences",
    [
        ["DETROIT (Reuters) - General Motors Corp ( GM.N ) said on Monday it would file.", "Shares fell 3.5 percent."],
        ["Citigroup Inc. fell after the U.S. Treasury raised rates.", "Mr. Smith of Acme Co. denied it."],
        ['"We are fine," said Jane Doe.', "Investors were not convinced."],
        ["HONG KONG (Reuters) - Lenovo Group ( 0992.HK ), the No. 4 PC seller, cut jobs.", "It denied more."],
    ],
)
def test_newswire_is_cut_at_the_ends_of_sentences_and_nowhere_else(sentences: list[str]) -> None:
    assert cut(" ".join(sentences)) == sentences


def test_a_title_too_long_for_a_sentence_is_read_in_parts_and_the_first_is_the_title() -> None:
    document = TextDocument.of_article("word " * 1_000, "It fell.")
    places = list(document.sentence_spans())
    assert [place.is_title for place in places] == [True, False, False, False]
    assert all(place.end - place.start <= MAX_SENTENCE for place in places)
    assert "".join(document.content[one.start : one.end] for one in places).count("word") == 1_000


def test_the_title_is_sentence_zero_and_offsets_are_into_title_newline_text() -> None:
    document = TextDocument.of_article("Acme falls", "It fell.\n\nIt fell again.")
    places = list(document.sentence_spans())
    assert [place.is_title for place in places] == [True, False, False]
    assert document.content == "Acme falls\nIt fell.\n\nIt fell again."
    assert [document.content[place.start : place.end] for place in places] == [
        "Acme falls",
        "It fell.",
        "It fell again.",
    ]


def test_an_article_without_a_title_begins_with_its_text() -> None:
    (place,) = TextDocument.of_article("", "It fell.").sentence_spans()
    assert (place.is_title, place.start) == (False, 1)


@given(st.text(max_size=300), st.text(max_size=600))
def test_sentences_are_in_order_apart_and_hold_every_character_but_white_space(title: str, text: str) -> None:
    document = TextDocument.of_article(title, text)
    places = list(document.sentence_spans())
    held = set()
    end = 0
    for place in places:
        assert end <= place.start < place.end <= len(document.content)
        assert not document.content[place.start].isspace()
        assert not document.content[place.end - 1].isspace()
        held.update(range(place.start, place.end))
        end = place.end
    assert all(char.isspace() for at, char in enumerate(document.content) if at not in held)


def test_a_text_without_full_stops_is_cut_at_white_space_into_bounded_pieces() -> None:
    pieces = cut("word " * 3_000)
    assert max(map(len, pieces)) <= MAX_SENTENCE
    assert " ".join(pieces) == ("word " * 3_000).strip()
    assert max(map(len, cut("x" * 5_000))) <= MAX_SENTENCE
