"""Fingerprints of many are those of each; words are those that one pattern over the whole text finds."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from riskwire import story
from riskwire.story import fingerprint, fingerprints

ODD = st.text("aZéᾷŉ09.,'’s_- \u00a0\x1cİßǅ½²١٣\u0301ª①Ⅷ\n(<)>:|–", max_size=120)
WORDS = st.lists(st.sampled_from(["Acme", "the", "3.5", "1,000.25bn", "falls", "U.S.", "GM's", "sales;"])).map(" ".join)
TEXT = st.one_of(ODD, WORDS, st.text(max_size=60))

PREFIX = re.compile(
    r"^(?:\s*(?:update|wrapup|refile|rpt|repeat|corrected|correction|exclusive|breaking|breaking news|analysis|brief|"
    r"live|watch|video|opinion|preview|snapshot|highlights|instant view|special report)\s*\d{0,2}\s*[-:–—|]+\s*)+",
    re.IGNORECASE,
)
SUFFIX = re.compile(
    r"\s+[-–—|]\s+[A-Z][\w.&' ]{1,30}$|:\s*(?:[A-Z]{2,4}|reports?|sources?|papers?|official|analyst)\s*$", re.ASCII
)


def words_of(text: str) -> list[str]:
    plain = re.sub(r"['’]s?\b", "", text.replace("’", "'").casefold())
    return [word for word in re.findall(r"[^\W_]+(?:[.,]\d+)*", plain) if word not in story._STOP]


@given(st.lists(st.tuples(TEXT, TEXT), max_size=12))
def test_fingerprints_of_many_are_those_of_each(articles: list[tuple[str, str]]) -> None:
    assert fingerprints(articles) == [fingerprint(title, lead) for title, lead in articles]


@given(TEXT, st.integers(1, 30))
def test_words_are_runs_of_letters_and_digits_with_their_fractions_less_possessives_and_small_words(
    text: str, most: int
) -> None:
    assert story._words(text, most) == words_of(text)[:most]


@given(
    st.text("ᾷΐŉé -:|\t", max_size=60)
    | st.text("Aa1 \t-|:’", max_size=30).map("update".__add__)
    | st.text("AZ -:|\t", max_size=40)
    | ODD
)
def test_a_title_is_all_its_words_less_what_wires_put_before_and_outlets_behind(title: str) -> None:
    """Also where it has more words than characters, as "ᾷ" has; in the patterns that first said what is put there."""
    plain = SUFFIX.sub("", PREFIX.sub("", title))
    assert story._title_words(title) == words_of(plain)


def test_a_fingerprint_is_what_it_has_been_since_the_first_version() -> None:
    """Stores and windows compare those of today with those of years ago."""
    title = "UPDATE 2-General Motors cuts 3,500 jobs – sources"
    lead = (
        "DETROIT (Reuters) - General Motors Co ( GM.N ) will cut 3,500 jobs, 1.5% of its staff, the company's chief "
        "said."
    )
    assert fingerprint(title, lead) == "94712d72833631e83d4241cfdc4b58866ae8e313839631283d91e8cfa39c1686"
