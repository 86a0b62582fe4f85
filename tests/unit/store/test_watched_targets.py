"""Watched entities are listed as targets from the start, also those without news."""

from __future__ import annotations

from datetime import UTC, datetime

from fictional import signal

from riskwire.records import Command
from riskwire.store import Store, WatchedTarget

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ACME = WatchedTarget("entity:acme", "Acme Corp", ("makers",))
GLOBEX = WatchedTarget("entity:globex", "Globex")


def listed(store: Store) -> list[tuple[str, str, bool]]:
    """Returns target, name and whether there is news, of each target."""
    return [(row.target, row.name, row.last_seen is not None) for row in store.targets(order="name")]


def command(kind: str, target: str, **value: str) -> Command:
    return Command(kind=kind, target=target, by="ada", at=NOON, comment="", value=value)


def test_a_holding_without_news_is_listed_until_it_is_not_watched(store: Store) -> None:
    """The list of a later start replaces that of an earlier one."""
    store.list_watched([ACME, GLOBEX])
    assert listed(store) == [("entity:acme", "Acme Corp", False), ("entity:globex", "Globex", False)]
    assert store.targets(query="makers")[0].stories == 0
    store.list_watched([GLOBEX])
    assert listed(store) == [("entity:globex", "Globex", False)]
    store.delete_old()
    assert len(listed(store)) == 1


def test_commands_list_an_entity_and_take_it_off(store: Store) -> None:
    store.write_commands([command("watchlist_set", "entity:acme", id="acme", name="Acme")])
    assert listed(store) == [("entity:acme", "Acme", False)]
    store.write_commands([command("watchlist_remove", "entity:acme")])
    assert listed(store) == []


def test_news_of_a_holding_stays_when_it_is_listed_again_or_taken_off(store: Store) -> None:
    news = signal("1", target="entity:acme", seen_at=NOON)
    store.list_watched([WatchedTarget("entity:acme", "Acme Corp")])
    store.write_signals([news])
    (row,) = listed(store)
    assert row == ("entity:acme", news.name, True)
    store.list_watched([ACME])
    store.list_watched([])
    assert listed(store) == [row]
