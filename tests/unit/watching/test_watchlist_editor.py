"""Changing the watchlist: checked against what is commanded, written as one step, by several at once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.errors import SettingsError
from riskwire.inference.linking import Linker
from riskwire.pipeline import Topic
from riskwire.records import Command
from riskwire.settings import BusSettings
from riskwire.watching import Edit, Follower, WatchlistEditor


def entry(entry_id: str, **fields: object) -> WatchedEntity:
    return WatchedEntity.model_validate({"id": entry_id, "name": entry_id.title()} | fields)


async def commands(bus: EmbeddedBus) -> list[tuple[str, str | None, str]]:
    found = [message.value for message in await bus.read(Topic.COMMANDS, 0, 0, 10_000)]
    found += (
        [message.value for message in await bus.read(Topic.COMMANDS, 1, 0, 10_000)]
        if (bus.partitions(Topic.COMMANDS) > 1)
        else []
    )
    return [(one.kind, one.target, one.by) for one in map(Command.model_validate_json, found)]


@pytest.fixture
def editor(bus: EmbeddedBus) -> WatchlistEditor:
    return WatchlistEditor(bus, Watchlist())


async def test_an_entry_is_set_listed_with_who_set_it_and_removed(bus: EmbeddedBus, editor: WatchlistEditor) -> None:
    edit = await editor.put([entry("acme", tickers=["ACM"])], "ada")
    assert (edit.set, edit.removed, edit.first) == (("acme",), (), True)
    (row,) = await editor.listed()
    assert (row.id, row.tickers, row.by) == ("acme", ("ACM",), "ada")
    edit = await editor.remove("acme", "bob")
    assert (edit.removed, edit.unknown, edit.emptied) == (("acme",), (), True)
    assert await editor.listed() == []
    assert await commands(bus) == [
        ("watchlist_set", "entity:acme", "ada"),
        ("watchlist_remove", "entity:acme", "bob"),
    ]


async def test_what_is_on_the_list_as_it_is_is_not_published_again(bus: EmbeddedBus, editor: WatchlistEditor) -> None:
    await editor.put([entry("acme"), entry("globex")], "ada")
    edit = await editor.put([entry("acme"), entry("globex", group="makers")], "bob")
    assert (edit.set, edit.first) == (("globex",), False)
    assert (await editor.put([entry("acme")], "eve")).changes == 0
    assert len(await commands(bus)) == 3
    assert [(row.id, row.by) for row in await editor.listed()] == [("acme", "ada"), ("globex", "bob")]


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (entry("other", name="ACME Inc"), "'acme' and 'other' both claim the name 'ACME Inc'"),
        (entry("other", tickers=["ACM"]), "'acme' and 'other' both claim the ticker 'ACM'"),
        (entry("other", isin="US0378331005"), "'acme' and 'other' both claim the isin"),
        (entry("ACME", name="Other"), "'acme' and 'ACME' both claim the id"),
    ],
)
async def test_a_clash_is_refused_before_anything_is_published(
    bus: EmbeddedBus, editor: WatchlistEditor, new: WatchedEntity, says: str
) -> None:
    await editor.put([entry("acme", tickers=["ACM"], isin="US0378331005")], "ada")
    with pytest.raises(SettingsError, match="the watchlist: ") as refused:
        await editor.put([entry("fine"), new], "bob")
    assert says in str(refused.value)
    assert len(await commands(bus)) == 1
    assert [row.id for row in await editor.listed()] == ["acme"]


async def test_who_decides_must_have_a_name_that_can_be_kept(bus: EmbeddedBus, editor: WatchlistEditor) -> None:
    with pytest.raises(SettingsError, match="by"):
        await editor.put([entry("acme")], "\ud800")
    assert await commands(bus) == []


async def test_replacing_removes_what_is_not_named_and_lets_its_names_go(
    bus: EmbeddedBus, editor: WatchlistEditor
) -> None:
    await editor.put([entry("acme"), entry("globex")], "ada")
    edit = await editor.put([entry("new", name="Acme"), entry("globex")], "bob", replace=True)
    assert (edit.set, edit.removed) == (("new",), ("acme",))
    assert (await commands(bus))[2:] == [
        ("watchlist_remove", "entity:acme", "bob"),
        ("watchlist_set", "entity:new", "bob"),
    ]


async def test_two_entries_may_swap_their_names_in_one_step(editor: WatchlistEditor) -> None:
    await editor.put([entry("a", name="Acme"), entry("b", name="Globex")], "ada")
    edit = await editor.put([entry("a", name="Globex"), entry("b", name="Acme")], "ada")
    assert edit.set == ("a", "b")


async def test_what_is_not_on_the_list_cannot_be_removed(bus: EmbeddedBus, editor: WatchlistEditor) -> None:
    assert (await editor.remove("nobody", "ada")).unknown == ("nobody",)
    assert await commands(bus) == []


async def test_the_base_is_listed_under_what_is_commanded_and_is_no_empty_list(bus: EmbeddedBus) -> None:
    editor = WatchlistEditor(bus, Watchlist((entry("Acme", name="Old"), entry("globex"))))
    assert not (await editor.put([entry("acme")], "ada")).first
    assert [(row.id, row.name, row.by) for row in await editor.listed()] == [
        ("acme", "Acme", "ada"),
        ("globex", "Globex", None),
    ]


async def test_what_several_change_at_once_is_all_there(tmp_path: Path, bus: EmbeddedBus) -> None:
    others = [await EmbeddedBus.open(tmp_path, BusSettings()) for _ in range(2)]
    try:
        editors = [WatchlistEditor(one, Watchlist()) for one in (bus, bus, *others)]
        edits = await asyncio.gather(
            *(
                editor.put([entry(f"name-{at}-{turn}")], f"writer {at}")
                for turn in range(3)
                for at, editor in enumerate(editors)
            )
        )
    finally:
        for one in others:
            await one.close()
    assert sum(edit.changes for edit in edits) == 12
    assert sum(edit.first for edit in edits) == 1
    assert len(await WatchlistEditor(bus, Watchlist()).listed()) == 12
    assert len(await commands(bus)) == 12


async def test_of_two_who_claim_one_name_at_once_one_is_refused(bus: EmbeddedBus) -> None:
    editor = WatchlistEditor(bus, Watchlist())
    done = await asyncio.gather(
        *(editor.put([entry(name, name="Acme")], "ada") for name in ("one", "two")), return_exceptions=True
    )
    assert {type(one) for one in done} == {Edit, SettingsError}
    assert len(await editor.listed()) == 1


async def keep(bus: EmbeddedBus, key: str, **changed: object) -> None:
    """An entry in the publisher's state as another version might write it."""
    plain = {"kind": "watchlist_set", "target": f"entity:{key}", "by": "ada", "at": "2026-01-05T10:00:00Z"}
    command = plain | {"value": {"id": key, "name": key.title()}} | changed
    async with bus.publisher("watchlist") as publisher:
        await publisher.publish([], {key: json.dumps(command).encode()})


async def test_a_field_that_a_newer_riskwire_wrote_is_passed_over(bus: EmbeddedBus, editor: WatchlistEditor) -> None:
    await keep(bus, "acme", v=2, value={"id": "acme", "name": "Acme", "lei": "5493001KJTIIGC8Y1R12"}, reason="x")
    assert [(row.id, row.by) for row in await editor.listed()] == [("acme", "ada")]


async def test_what_cannot_be_read_of_the_list_is_named_stops_no_follower_and_can_be_removed(
    bus: EmbeddedBus, editor: WatchlistEditor
) -> None:
    await keep(bus, "acme", kind="watchlist_pause")
    with pytest.raises(SettingsError, match=r"the watchlist: acme: kind: .*riskwire watchlist remove acme"):
        await editor.listed()
    with pytest.raises(SettingsError):
        await editor.put([entry("globex")], "bob")
    with pytest.raises(SettingsError):  # which a follower tells, and goes on
        await Follower(bus, Linker()).look()
    assert (await editor.remove("acme", "bob")).removed == ("acme",)
    assert await editor.listed() == []


async def test_a_follower_takes_the_list_over_when_there_are_new_commands(
    bus: EmbeddedBus, editor: WatchlistEditor
) -> None:
    base = Linker(Watchlist((entry("globex"),)))
    follower = Follower(bus, base)
    await follower.look()
    assert follower.linker is base
    await editor.put([entry("acme")], "ada")
    await follower.look()
    first = follower.linker
    assert [one.id for one in first.watchlist.entities] == ["acme", "globex"]
    await follower.look()
    assert follower.linker is first
    await editor.remove("acme", "ada")
    await follower.look()
    assert follower.linker is base


async def test_who_decided_and_why_may_not_steer_a_terminal(editor: WatchlistEditor) -> None:
    for by, comment in [("eve\x1b[2J", ""), ("e\nve", ""), ("eve", "why\x9b"), ("eve", "why\u2028")]:
        with pytest.raises(SettingsError, match="has a control character"):
            await editor.put([entry("acme")], by, comment=comment)
    assert (await editor.put([entry("acme")], "eve", comment="why:\n\tbecause")).set == ("acme",)
