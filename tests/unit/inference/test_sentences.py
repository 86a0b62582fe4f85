"""Sentences: newswire is cut where sentences end, and offsets are exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.inference.model.sentences import MAX_SENTENCE, TextDocument


def sentences_of(text: str) -> list[str]:
    return [text[span.start : span.end] for span in TextDocument(text).sentence_spans()]


@pytest.mark.parametrize(
    "sentences",
    [
        ["DETROIT (Reuters) - General Motors Corp ( GM.N ) said on Monday it would file.", "Shares fell 3.5 percent."],
        ["Citigroup Inc. fell after the U.S. Treasury raised rates.", "Mr. Smith of Acme Co. denied it."],
        ['"We are fine," said Jane Doe.', "Investors were not convinced."],
        ["HONG KONG (Reuters) - Lenovo Group ( 0992.HK ), the No. 4 PC seller, cut jobs.", "It denied more."],
    ],
    ids=["dateline and ticker", "abbreviations", "quotation", "code and number"],
)
def test_newswire_is_cut_only_where_sentences_end(sentences: list[str]) -> None:
    assert sentences_of(" ".join(sentences)) == sentences


def test_a_title_too_long_for_a_sentence_is_cut_and_its_first_part_is_the_title() -> None:
    """The title has 5,000 characters and is cut into three parts; the fourth sentence is the text."""
    document = TextDocument.of_article("word " * 1_000, "It fell.")
    spans = list(document.sentence_spans())
    assert [span.is_title for span in spans] == [True, False, False, False]
    assert all(span.end - span.start <= MAX_SENTENCE for span in spans)
    assert "".join(document.content[span.start : span.end] for span in spans).count("word") == 1_000


def test_the_title_is_sentence_zero_and_offsets_are_into_title_newline_text() -> None:
    """A title needs no full stop, and a blank line ends a sentence."""
    document = TextDocument.of_article("Acme falls", "It fell.\n\nIt fell again.")
    spans = list(document.sentence_spans())
    assert [span.is_title for span in spans] == [True, False, False]
    assert document.content == "Acme falls\nIt fell.\n\nIt fell again."
    assert [document.content[span.start : span.end] for span in spans] == ["Acme falls", "It fell.", "It fell again."]


def test_an_article_without_a_title_begins_with_its_text() -> None:
    (span,) = TextDocument.of_article("", "It fell.").sentence_spans()
    assert (span.is_title, span.start) == (False, 1)


@given(st.text(max_size=300), st.text(max_size=600))
def test_sentences_are_in_order_do_not_overlap_and_cover_all_but_white_space(title: str, text: str) -> None:
    """Holds for any title and text; no sentence begins or ends with white space."""
    document = TextDocument.of_article(title, text)
    covered = set()
    end = 0
    for span in document.sentence_spans():
        assert end <= span.start < span.end <= len(document.content)
        assert not document.content[span.start].isspace()
        assert not document.content[span.end - 1].isspace()
        covered.update(range(span.start, span.end))
        end = span.end
    assert all(char.isspace() for offset, char in enumerate(document.content) if offset not in covered)


def test_a_text_without_full_stops_is_cut_at_white_space_into_bounded_sentences() -> None:
    """A text without white space is cut at the limit, `MAX_SENTENCE` characters."""
    sentences = sentences_of("word " * 3_000)
    assert max(map(len, sentences)) <= MAX_SENTENCE
    assert " ".join(sentences) == ("word " * 3_000).strip()
    assert max(map(len, sentences_of("x" * 5_000))) <= MAX_SENTENCE


def test_a_long_paragraph_is_split_into_the_same_sentences_as_short_ones() -> None:
    """It is split piece by piece. A sentence that a piece cuts is read whole with the next piece."""
    sentence = "Acme Corp. of Dublin said profit fell 3.5 percent, and J. Doe left."
    spans = list(TextDocument(" ".join([sentence] * 2_000)).sentence_spans())
    assert {(span.end - span.start) for span in spans} == {len(sentence)}
    assert len(spans) == 2_000
