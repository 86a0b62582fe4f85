"""Fingerprints: one wire item is one story however it is reprinted; two items of one day are two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.story import bands, fingerprint, same_story

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
def test_a_reprint_is_the_same_story_and_is_found_by_a_band(title: str, lead: str) -> None:
    ours, theirs = fingerprint(TITLE, LEAD), fingerprint(title, lead)
    assert same_story(ours, theirs)
    assert set(bands(ours)) & set(bands(theirs))


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


def test_short_titles_of_one_pattern_are_not_one_story() -> None:
    assert not same_story(fingerprint("Acme shares fall", ""), fingerprint("Globex shares fall", ""))
    assert not same_story(
        fingerprint("Acme quarterly profit falls", ""), fingerprint("Globex quarterly profit rises", "")
    )


@given(st.text(max_size=200), st.text(max_size=400), st.text(max_size=200), st.text(max_size=400))
def test_it_is_reflexive_symmetric_of_fixed_form_and_bands_never_miss(a: str, b: str, c: str, d: str) -> None:
    one, other = fingerprint(a, b), fingerprint(c, d)
    assert len(one) == 64
    assert set(one) <= set("0123456789abcdef")
    assert same_story(one, one)
    assert same_story(one, other) == same_story(other, one)
    if same_story(one, other):
        assert set(bands(one)) & set(bands(other))


def test_articles_without_words_are_told_apart_by_their_characters() -> None:
    assert not same_story(fingerprint("!!!", ""), fingerprint("???", ""))
    assert same_story(fingerprint("!!!", ""), fingerprint("!!!", ""))
