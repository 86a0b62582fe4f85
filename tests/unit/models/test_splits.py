"""No near-duplicate straddles train, dev and test."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire_models.data.splits import DEV_SHARE, TEST_SHARE, split_of
from riskwire_models.data.text import clean_tweet, normalised, split_key, unit_hash, without_leading_cashtags


@pytest.mark.parametrize(
    "copy",
    [
        "Oil slips 2% as OPEC meets",
        "OIL SLIPS 3% AS OPEC MEETS!",
        "$USO $XLE - Oil slips 2.5% as OPEC meets https://t.co/AbC123",
        "Oil slips 2% as OPEC meets   http://example.org/a?b=c",
        "Oil slips 11% as &quot;OPEC&quot; meets",
    ],
)
def test_copies_that_differ_in_case_links_tickers_numbers_or_marks_share_a_split(copy: str) -> None:
    assert normalised(copy) == "oil slips 0 as opec meets"
    assert split_of(copy) == split_of("Oil slips 2% as OPEC meets")


def test_a_truncated_copy_shares_the_key_of_the_whole() -> None:
    whole = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    assert split_key(whole) == split_key(f"{whole} and what follows")


@given(st.text())
def test_a_text_always_falls_into_the_same_split(text: str) -> None:
    assert split_of(text) == split_of(text)
    assert split_of(text) in {"train", "dev", "test"}


def test_the_shares_are_those_that_were_set() -> None:
    keys = [f"word{chr(97 + a)}{chr(97 + b)}{chr(97 + c)}" for a in range(20) for b in range(20) for c in range(10)]
    splits = [split_of(key) for key in keys]
    assert abs(splits.count("test") / len(splits) - TEST_SHARE) < 0.015
    assert abs(splits.count("dev") / len(splits) - DEV_SHARE) < 0.015


def test_the_hash_is_fixed_over_machines_and_versions() -> None:
    assert unit_hash("oil slips", "salt") == pytest.approx(0.1987804107242933, abs=1e-12)


def test_links_go_and_entities_of_html_are_unescaped() -> None:
    assert clean_tweet("M&amp;A: deal done  https://t.co/x1 \n now") == "M&A: deal done now"


def test_leading_cashtags_go_unless_nothing_else_is_left() -> None:
    assert without_leading_cashtags("$C $C.PJ - Banks fall") == "Banks fall"
    assert without_leading_cashtags("$C $JPM") == "$C $JPM"
    assert without_leading_cashtags("Banks fall $C") == "Banks fall $C"
