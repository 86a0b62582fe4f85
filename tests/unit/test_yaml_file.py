"""YAML files of users are read in bounded memory."""

from __future__ import annotations

import pytest

from riskwire.errors import SettingsError
from riskwire.settings.yaml_file import parse_yaml


def bomb(reference: str) -> str:
    """Returns a document of which each line has the line before ten times, by alias or by merge key."""
    lines = ["a0: &a0 {k0: 1, k1: 2, k2: 3}"]
    lines += [f"a{n}: &a{n} {reference.format(', '.join([f'*a{n - 1}'] * 10))}" for n in range(1, 9)]
    return "\n".join(lines)


@pytest.mark.parametrize("reference", ["[{}]", "{{<<: [{}]}}"], ids=["aliases", "merge keys"])
def test_a_document_that_aliases_make_huge_is_refused(reference: str) -> None:
    with pytest.raises(SettingsError, match=r"w\.yaml: the watchlist cannot be read: line 1.*much too large"):
        parse_yaml(bomb(reference), "the watchlist", "w.yaml")


def test_an_alias_within_what_it_names_is_refused() -> None:
    with pytest.raises(SettingsError, match="line 1, column 1: an alias names what it is in"):
        parse_yaml("&a [*a]", "the watchlist", "w.yaml")


def test_entries_may_share_a_template() -> None:
    """A merge key that every one of 5,000 entries uses is no attack."""
    entries = "\n".join(f"- {{<<: *t, id: e{n}}}" for n in range(1, 5_000))
    rows = parse_yaml(f"- &t {{group: banks, tickers: [A, B], id: e0}}\n{entries}", "the watchlist", "w.yaml")
    assert isinstance(rows, list)
    assert len(rows) == 5_000
    assert rows[-1] == {"group": "banks", "tickers": ["A", "B"], "id": "e4999"}
