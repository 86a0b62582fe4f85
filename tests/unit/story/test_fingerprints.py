"""Fingerprints of many are those of each; words are those that one pattern over the whole text finds."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from riskwire import story
from riskwire.story import fingerprint, fingerprints

ODD = st.text("aZé09.,'’s_- \u00a0\x1cİßǅ½²١٣\u0301ª①Ⅷ\n(<)>:|–", max_size=120)
WORDS = st.lists(st.sampled_from(["Acme", "the", "3.5", "1,000.25bn", "falls", "U.S.", "GM's", "sales;"])).map(" ".join)
TEXT = st.one_of(ODD, WORDS, st.text(max_size=60))


@given(st.lists(st.tuples(TEXT, TEXT), max_size=12))
def test_fingerprints_of_many_are_those_of_each(articles: list[tuple[str, str]]) -> None:
    assert fingerprints(articles) == [fingerprint(title, lead) for title, lead in articles]


@given(TEXT, st.integers(1, 30))
def test_words_are_runs_of_letters_and_digits_with_their_fractions_less_possessives_and_small_words(
    text: str, most: int
) -> None:
    plain = re.sub(r"['’]s?\b", "", text.replace("’", "'").casefold())
    words = [word for word in re.findall(r"[^\W_]+(?:[.,]\d+)*", plain) if word not in story._STOP]
    assert story._words(text, most) == words[:most]


def test_a_fingerprint_is_what_it_has_been_since_the_first_version() -> None:
    """Stores and windows compare those of today with those of years ago."""
    title = "UPDATE 2-General Motors cuts 3,500 jobs – sources"
    lead = (
        "DETROIT (Reuters) - General Motors Co ( GM.N ) will cut 3,500 jobs, 1.5% of its staff, the company's chief "
        "said."
    )
    assert fingerprint(title, lead) == "94712d72833631e83d4241cfdc4b58866ae8e313839631283d91e8cfa39c1686"
