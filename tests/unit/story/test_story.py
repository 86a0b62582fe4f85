"""Reprints of a wire item have matching fingerprints; other items of the same day do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.story import bands, fingerprint, is_fingerprint, same_story

TITLE = "General Motors to file for bankruptcy on Monday: sources"
LEAD = (
    "DETROIT (Reuters) - General Motors Corp ( GM.N ) will file for bankruptcy protection in New York on Monday, "
    "sources familiar with the plans said, the largest failure of an American manufacturer. The automaker "
    "has been surviving on government loans since December and has closed eleven plants."
)


@pytest.mark.parametrize(
    ("title", "lead"),
    [
        (TITLE, LEAD[:150]),
        (TITLE, ""),
        ("UPDATE 3-" + TITLE, LEAD),
        ("BREAKING: " + TITLE.replace(": sources", ""), LEAD[:200]),
        (TITLE + " - MarketWatch", LEAD.removeprefix("DETROIT (Reuters) - ")),
        (TITLE.upper(), LEAD.replace("( GM.N )", "<GM.N>")),
        ("GM headed for Chapter 11", LEAD),
        ("", LEAD),
        (TITLE, "NEW YORK, June 1 - " + LEAD.removeprefix("DETROIT (Reuters) - ")),
    ],
)
def test_a_reprint_is_the_same_story_and_shares_a_band(title: str, lead: str) -> None:
    """The parameters are the title and the lead of a reprint of one wire item: cut, without one of both, or reworded.

    A band is a part of a fingerprint by which an index finds similar ones.
    """
    original, reprint = fingerprint(TITLE, LEAD), fingerprint(title, lead)
    assert same_story(original, reprint)
    assert set(bands(original)) & set(bands(reprint))


@pytest.mark.parametrize(
    ("title", "lead"),
    [
        (
            "General Motors sells Hummer brand to Chinese firm",
            "DETROIT (Reuters) - General Motors Corp ( GM.N ) agreed to sell its Hummer brand to a machinery maker "
            "from Sichuan, the first deal of its bankruptcy, the automaker said on Tuesday.",
        ),
        (
            "Chrysler to leave bankruptcy on Wednesday",
            "NEW YORK (Reuters) - Chrysler LLC is set to leave bankruptcy protection as early as Wednesday after a "
            "court cleared its sale to Fiat SpA ( FIA.MI ), ending a fight with pension funds of Indiana.",
        ),
    ],
)
def test_another_event_of_the_same_days_is_another_story(title: str, lead: str) -> None:
    assert not same_story(fingerprint(TITLE, LEAD), fingerprint(title, lead))


def test_short_titles_with_the_same_wording_about_two_companies_are_two_stories() -> None:
    assert not same_story(fingerprint("Acme shares fall", ""), fingerprint("Globex shares fall", ""))
    assert not same_story(
        fingerprint("Acme quarterly profit falls", ""), fingerprint("Globex quarterly profit rises", "")
    )


TEXT = st.text(max_size=200)
LEADS = st.text(max_size=400)


@given(TEXT, LEADS, TEXT, LEADS)
def test_same_story_is_reflexive_and_symmetric_and_implies_a_shared_band(
    title_a: str, lead_a: str, title_b: str, lead_b: str
) -> None:
    """A band is a part of a fingerprint by which an index finds similar ones."""
    a, b = fingerprint(title_a, lead_a), fingerprint(title_b, lead_b)
    assert is_fingerprint(a)
    assert same_story(a, a)
    assert same_story(a, b) == same_story(b, a)
    if same_story(a, b):
        assert set(bands(a)) & set(bands(b))


def test_articles_without_words_are_compared_by_their_characters() -> None:
    assert not same_story(fingerprint("!!!", ""), fingerprint("???", ""))
    assert same_story(fingerprint("!!!", ""), fingerprint("!!!", ""))
