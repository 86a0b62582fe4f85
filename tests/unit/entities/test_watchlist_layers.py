"""Merging entries: earlier ones have priority, and no two entries have a common claim."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from riskwire.entities.watchlist import WatchedEntity, Watchlist, entry_fields, merge_entries


def entry(name: str, **fields: object) -> WatchedEntity:
    return WatchedEntity.model_validate({"id": name.lower(), "name": name} | fields)


def test_a_later_entry_with_the_same_id_is_omitted_without_a_message() -> None:
    """Ids are compared without case. `lost` has the messages about lost names, tickers and ISINs."""
    watchlist, lost = merge_entries(
        (entry("Acme", group="new"), entry("Globex"), entry("Acme", id="ACME", group="old"))
    )
    assert [(entity.id, entity.group) for entity in watchlist.entities] == [("acme", "new"), ("globex", None)]
    assert lost == ()


def test_a_later_entry_loses_the_claims_of_an_earlier_one_and_keeps_its_others() -> None:
    """A claim is a name, ticker or ISIN. An entry that loses its name is named by its first remaining alias."""
    later = entry("Acme", aliases=["Acme Industries"], tickers=["ACM", "ACX"], isin="US0378331005")
    watchlist, lost = merge_entries((entry("Other", aliases=["ACME"], tickers=["acx"], isin="US0378331005"), later))
    merged = watchlist.entities[1]
    assert (merged.name, merged.aliases, merged.tickers, merged.isin) == ("Acme Industries", (), ("ACM",), None)
    assert list(lost) == [
        "'acme' loses the name 'Acme' to another entry",
        "'acme' loses the ticker 'ACX' to another entry",
        "'acme' loses the ISIN 'US0378331005' to another entry",
    ]


def test_an_entry_without_a_name_is_named_by_its_ticker_and_one_without_both_is_omitted() -> None:
    first = entry("Other", aliases=["Acme", "Globex"])
    watchlist, lost = merge_entries((first, entry("Acme", tickers=["ACM"]), entry("Globex")))
    assert [(entity.id, entity.name) for entity in watchlist.entities] == [("other", "Other"), ("acme", "ACM")]
    assert lost[-1] == "'globex' has no name left"


def test_entry_fields_omit_defaults_and_give_the_same_entry_again() -> None:
    entity = entry("Acme", tickers=["ACM"])
    assert entry_fields(entity) == {"id": "acme", "name": "Acme", "tickers": ["ACM"]}
    assert WatchedEntity.model_validate(entry_fields(entity)) == entity


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
def test_merged_entries_have_no_common_claim_and_the_first_entry_keeps_all(entries: list[WatchedEntity]) -> None:
    """A claim is a name, ticker or ISIN of an entry. No id is invented."""
    watchlist, _ = merge_entries(entries)
    Watchlist(watchlist.entities)  # raises if two entries have a common claim
    if entries:
        assert watchlist.entities[0] == entries[0]
    assert {entity.id.casefold() for entity in watchlist.entities} <= {entity.id.casefold() for entity in entries}
