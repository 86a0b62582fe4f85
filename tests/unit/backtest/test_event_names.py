"""Which targets are the party that the list of events names."""

from __future__ import annotations

import pytest

from riskwire.backtest.event_names import NameIndex, PartyNames, names_agree, other_names
from riskwire.entities.watchlist import WatchedEntity, Watchlist


@pytest.fixture(scope="module")
def parties() -> PartyNames:
    return PartyNames()


PARTIES = [
    ("General Motors", "entity:isin:US37045V1008", "GM"),
    ("Delta", "entity:isin:US2473617023", "Delta Air Lines"),
    ("UK", "entity:name:united-kingdom", "United Kingdom"),
    ("RBS", "entity:name:royal-bank-of-scotland", "Royal Bank of Scotland Group Plc"),
    ("CIT Group", "entity:name:cit", "CIT"),
    ("Stanford", "entity:name:allen-stanford", "Allen Stanford"),
    ("Madoff", "entity:name:bernard-madoff", "Bernard Madoff"),
    ("Smurfit-Stone", "entity:name:smurfit-stone-container", "Smurfit-Stone Container Corp"),
    ("General Growth", "entity:name:general-growth-properties", "General Growth Properties"),
    ('Toys "R" Us', "entity:name:toys-r-us", "Toys R Us Inc"),
    ("PWC", "entity:name:pricewaterhousecoopers", "PricewaterhouseCoopers"),
]


@pytest.mark.parametrize(("event_name", "target", "name"), PARTIES)
def test_spellings_initials_and_former_names_are_one_party(
    parties: PartyNames, event_name: str, target: str, name: str
) -> None:
    assert parties.is_party(event_name, target, name)


@pytest.mark.parametrize(
    ("event_name", "target", "name"),
    [
        ("Sony", "entity:name:sony-ericsson", "Sony Ericsson"),
        ("Dubai", "entity:name:dubai-world", "Dubai World"),
        ("Deutsche", "entity:name:deutsche-telekom", "Deutsche Telekom"),
        ("Stanford", "entity:name:stanford-university", "Stanford University"),
        ("Ford", "entity:name:gerald-ford", "Gerald Ford"),
        ("Dell", "entity:name:michael-dell", "Michael Dell"),
        ("Bank of America", "entity:name:bank", "Bank"),
        ("American Airlines", "entity:name:american", "American"),
        ("Corus Bank", "entity:name:corus", "Corus"),
        ("Sun", "entity:name:sun-life", "Sun Life"),
        ("Acme", "entity:name:globex", "Globex"),
        ("...", "entity:name:globex", "Globex"),
    ],
)
def test_parties_that_only_share_a_word_are_two(parties: PartyNames, event_name: str, target: str, name: str) -> None:
    assert not parties.is_party(event_name, target, name)


def test_a_name_on_the_watchlist_is_its_entry() -> None:
    watchlist = Watchlist((WatchedEntity(id="gm", name="General Motors Company", aliases=("GM",)),))
    assert PartyNames(watchlist).is_party("GM", "entity:gm", "General Motors Company")


def test_a_target_linked_in_the_event_s_own_title_is_its_party_if_the_names_share_a_distinctive_word() -> None:
    parties = PartyNames()
    parties.add_linked("Minneapolis Star Tribune", "entity:name:star-tribune", "Star Tribune", "Star Tribune")
    parties.add_linked("Bank of Antigua", "entity:name:bank-of-america", "Bank of America", "Bank of America")
    parties.add_linked("Sun Micro", "entity:name:microsystems", "Microsystems", "Microsystems")
    assert parties.is_party("Minneapolis Star Tribune", "entity:name:star-tribune", "Star Tribune")
    assert not parties.is_party("Bank of Antigua", "entity:name:bank-of-america", "Bank of America")
    assert parties.is_party("Sun Micro", "entity:name:microsystems", "Microsystems")


def test_every_other_name_of_the_table_is_needed() -> None:
    """A row that the rules cover would only hide them."""
    needless = [
        (name, other_name)
        for name, name_list in other_names().items()
        for other_name in name_list
        if names_agree(name, other_name)
    ]
    assert needless == []


@pytest.mark.parametrize(("event_name", "target", "name"), PARTIES)
def test_the_index_finds_every_name_that_a_comparison_with_each_would(
    parties: PartyNames, event_name: str, target: str, name: str
) -> None:
    names = [known for known, _, _ in PARTIES]
    expected = tuple(known for known in names if parties.is_party(known, target, name))
    assert event_name in expected
    assert NameIndex(parties, names).of(target, name) == expected
