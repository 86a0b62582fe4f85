"""Entries over entries: the earlier goes before the later, and nothing is claimed twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from riskwire.entities.watchlist import WatchedEntity, Watchlist, layered, written_entry


def entry(name: str, **fields: object) -> WatchedEntity:
    return WatchedEntity.model_validate({"id": name.lower(), "name": name} | fields)


def test_an_entry_replaces_the_later_one_of_the_same_id_and_nothing_is_said_of_it() -> None:
    watchlist, lost = layered((entry("Acme", group="new"), entry("Globex"), entry("Acme", id="ACME", group="old")))
    assert [(one.id, one.group) for one in watchlist.entities] == [("acme", "new"), ("globex", None)]
    assert lost == ()


def test_a_later_entry_loses_what_is_claimed_and_keeps_the_rest() -> None:
    later = entry("Acme", aliases=["Acme Industries"], tickers=["ACM", "ACX"], isin="US0378331005")
    watchlist, lost = layered((entry("Other", aliases=["ACME"], tickers=["acx"], isin="US0378331005"), later))
    left = watchlist.entities[1]
    assert (left.name, left.aliases, left.tickers, left.isin) == ("Acme Industries", (), ("ACM",), None)
    assert [one.partition("for the ")[2] for one in lost] == [
        "name 'Acme': another entry does",
        "ticker 'ACX': another entry does",
        "ISIN 'US0378331005': another entry does",
    ]


def test_an_entry_with_no_name_left_goes_by_its_ticker_and_one_with_nothing_left_goes() -> None:
    first = entry("Other", aliases=["Acme", "Globex"])
    watchlist, lost = layered((first, entry("Acme", tickers=["ACM"]), entry("Globex")))
    assert [(one.id, one.name) for one in watchlist.entities] == [("other", "Other"), ("acme", "ACM")]
    assert lost[-1] == "'globex' has no name left"


def test_an_entry_is_written_without_what_it_leaves_open_and_read_back_the_same() -> None:
    one = entry("Acme", tickers=["ACM"])
    assert written_entry(one) == {"id": "acme", "name": "Acme", "tickers": ["ACM"]}
    assert WatchedEntity.model_validate(written_entry(one)) == one


_NAMES = st.sampled_from(["Acme", "Globex", "Acme Corp", "Initech", "AC", "A.C.", "Gap", "GAP Inc"])
_ENTRIES = st.builds(
    WatchedEntity,
    id=st.sampled_from(["a", "A", "b", "c", "d"]),
    name=_NAMES,
    aliases=st.lists(_NAMES, max_size=2).map(tuple),
    tickers=st.lists(st.sampled_from(["AC", "GAP", "IT"]), max_size=2).map(tuple),
    isin=st.sampled_from([None, "US0378331005", "DE0007164600"]),
)


@given(st.lists(_ENTRIES, max_size=8))
def test_whatever_is_laid_over_whatever_is_a_watchlist_and_the_first_keeps_all_it_has(
    entries: list[WatchedEntity],
) -> None:
    watchlist, _ = layered(entries)
    assert Watchlist(watchlist.entities) == Watchlist(watchlist.entities)  # it claims nothing twice, or this raises
    if entries:
        assert watchlist.entities[0] == entries[0]
    assert {one.id.casefold() for one in watchlist.entities} <= {one.id.casefold() for one in entries}
