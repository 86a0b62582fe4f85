"""Fingerprints of a batch equal those of single articles; the fast way to find words equals one regular expression."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from riskwire.story import fingerprint, fingerprints, minhash

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
    folded = re.sub(r"['’]s?\b", "", text.replace("’", "'").casefold())
    return [word for word in re.findall(r"[^\W_]+(?:[.,]\d+)*", folded) if word not in minhash._STOP_WORDS]


@given(st.lists(st.tuples(TEXT, TEXT), max_size=12))
def test_fingerprints_of_a_batch_equal_those_of_single_articles(articles: list[tuple[str, str]]) -> None:
    assert fingerprints(articles) == [fingerprint(title, lead) for title, lead in articles]


@given(TEXT, st.integers(1, 30))
def test_words_are_runs_of_letters_and_digits_without_possessives_and_stop_words(text: str, limit: int) -> None:
    """The words of the fast implementation are the first `limit` words of the plain one in this file."""
    assert minhash._words(text, limit) == words_of(text)[:limit]


@given(
    st.text("ᾷΐŉé -:|\t", max_size=60)
    | st.text("Aa1 \t-|:’", max_size=30).map("update".__add__)
    | st.text("AZ -:|\t", max_size=40)
    | ODD
)
def test_the_words_of_a_title_exclude_the_prefix_of_the_wire_and_the_name_of_the_outlet(title: str) -> None:
    """The patterns in this file are the original ones, before they were made faster.

    Titles with more words than characters, such as "ᾷ", are included.
    """
    assert minhash._title_words(title) == words_of(SUFFIX.sub("", PREFIX.sub("", title)))


def test_the_fingerprint_of_an_article_never_changes() -> None:
    """Stores and windows compare new fingerprints with stored ones, which may be years old."""
    title = "UPDATE 2-General Motors cuts 3,500 jobs – sources"
    lead = (
        "DETROIT (Reuters) - General Motors Co ( GM.N ) will cut 3,500 jobs, 1.5% of its staff, the company's chief "
        "said."
    )
    assert fingerprint(title, lead) == "94712d72833631e83d4241cfdc4b58866ae8e313839631283d91e8cfa39c1686"
