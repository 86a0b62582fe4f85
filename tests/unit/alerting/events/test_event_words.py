"""The words of event rules are found wherever an alternation of all phrases would find them, only faster."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.alerting.events.words import EventWords, WordLists

WORDS = st.sampled_from(
    [
        *("files", "filing", "file", "for", "bankruptcy", "bank", "cuts", "cut", "10,000", "jobs", "job", "s&p", "s"),
        *("probe", "probes", "fined", "fine", "$3", "billion", "a", "rating", "but", "to", "loses"),
    ]
)
SENTENCES = st.lists(WORDS, min_size=1, max_size=9).map(" ".join)
PHRASES = st.lists(
    st.sampled_from(
        [
            *("file* for bankruptcy", "files", "file", "fil*", "cuts ... jobs", "cut*", "# jobs", "# ... job*"),
            *("s&p cuts ... rating*", "s", "probe*", "prob*", "fine", "# billion", "bank*", "to ... fine*"),
        ]
    ),
    max_size=6,
    unique=True,
)


def words_of(types: dict[str, tuple[str, ...]], feared: tuple[str, ...] = ()) -> EventWords:
    empty: dict[str, tuple[str, ...]] = {}
    return EventWords(
        WordLists(
            feared=feared, denied=(), not_denied=(), relief=(), rescue=(), types=types, outright=empty, done=empty
        )
    )


def finds(phrase: str, text: str) -> bool:
    """Whether a phrase is in a text, by the simplest pattern of it."""
    parts = []
    for part in phrase.split(" ... "):
        words = [
            r"(?:\d{1,3}(?:,\d{3})+|\d[\d.]*[\s-]+(?:billion|bln|bn))\b"
            if word == "#"
            else re.escape(word.removesuffix("*")) + (r"\w*" if word.endswith("*") else r"\b")
            for word in part.split()
        ]
        parts.append(r"\s+".join(words))
    return re.search(r"\b" + r"\b.{0,30}?\b".join(parts), text) is not None


@given(PHRASES, SENTENCES)
def test_a_list_of_phrases_is_found_where_one_of_them_is(phrases: list[str], text: str) -> None:
    assert words_of({}, tuple(phrases)).is_feared(text) is any(finds(phrase, text) for phrase in phrases)


@given(PHRASES, PHRASES, PHRASES, SENTENCES)
def test_of_several_types_the_first_in_the_file_is_stated(
    probe: list[str], layoffs: list[str], penalty: list[str], text: str
) -> None:
    types = {"probe": tuple(probe), "layoffs": tuple(layoffs), "penalty": tuple(penalty)}
    clauses = re.split(r"[,;]\s+|\s+but\s+", text)
    expected = [
        name
        for name, phrases in types.items()
        if any(finds(phrase, clause) for phrase in phrases for clause in clauses)
    ]
    stated = words_of(types).stated(text)
    assert (None if stated is None else stated.type) == (expected[0] if expected else None)


@pytest.mark.parametrize("text", ["A profile of the embankment", "It refiled", "He has 50 jobs"])
def test_a_phrase_begins_where_a_word_begins_and_a_large_number_is_large(text: str) -> None:
    assert not words_of({}, ("file*", "bank*", "# jobs")).is_feared(text)
