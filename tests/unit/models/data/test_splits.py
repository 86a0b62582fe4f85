"""Near-duplicate texts belong to the same split."""

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
def test_copies_that_differ_in_case_links_tickers_numbers_or_punctuation_share_a_split(copy: str) -> None:
    assert normalised(copy) == "oil slips 0 as opec meets"
    assert split_of(copy) == split_of("Oil slips 2% as OPEC meets")


def test_a_truncated_copy_has_the_key_of_the_full_text() -> None:
    truncated = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    assert split_key(truncated) == split_key(f"{truncated} and what follows")


@given(st.text())
def test_the_split_of_a_text_is_deterministic(text: str) -> None:
    assert split_of(text) == split_of(text)
    assert split_of(text) in {"train", "dev", "test"}


def test_the_sizes_of_the_splits_match_their_shares() -> None:
    keys = [f"word{chr(97 + a)}{chr(97 + b)}{chr(97 + c)}" for a in range(20) for b in range(20) for c in range(10)]
    splits = [split_of(key) for key in keys]
    assert abs(splits.count("test") / len(splits) - TEST_SHARE) < 0.015
    assert abs(splits.count("dev") / len(splits) - DEV_SHARE) < 0.015


def test_the_hash_of_a_key_never_changes() -> None:
    assert unit_hash("oil slips", "salt") == pytest.approx(0.1987804107242933, abs=1e-12)


def test_links_are_removed_and_html_is_unescaped() -> None:
    assert clean_tweet("M&amp;A: deal done  https://t.co/x1 \n now") == "M&A: deal done now"


def test_leading_cashtags_are_removed_unless_the_text_has_only_cashtags() -> None:
    assert without_leading_cashtags("$C $C.PJ - Banks fall") == "Banks fall"
    assert without_leading_cashtags("$C $JPM") == "$C $JPM"
    assert without_leading_cashtags("Banks fall $C") == "Banks fall $C"
