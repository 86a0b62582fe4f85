"""Edits of the watchlist are checked against the committed list, published as one step, and may be concurrent."""

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
from riskwire.watching import Follower, WatchlistEdit, WatchlistEditor
from riskwire.watching.base import publish_base, read_base


def entry(entry_id: str, **fields: object) -> WatchedEntity:
    return WatchedEntity.model_validate({"id": entry_id, "name": entry_id.title()} | fields)


async def commands(bus: EmbeddedBus) -> list[tuple[str, str | None, str]]:
    """Returns (kind, target, by) of each published command."""
    messages = await bus.read(Topic.COMMANDS, 0, 0, 10_000)
    published = [Command.model_validate_json(message.value) for message in messages]
    return [(command.kind, command.target, command.by) for command in published]


@pytest.fixture
def editor(bus: EmbeddedBus) -> WatchlistEditor:
    return WatchlistEditor(bus, Watchlist())


async def test_an_entry_is_set_listed_with_its_author_and_removed(bus: EmbeddedBus, editor: WatchlistEditor) -> None:
    edit = await editor.put([entry("acme", tickers=["ACM"])], "ada")
    assert (edit.set, edit.removed, edit.first) == (("acme",), (), True)
    (row,) = await editor.entries()
    assert (row.id, row.tickers, row.by) == ("acme", ("ACM",), "ada")
    edit = await editor.remove("acme", "bob")
    assert (edit.removed, edit.unknown, edit.emptied) == (("acme",), (), True)
    assert await editor.entries() == []
    assert await commands(bus) == [
        ("watchlist_set", "entity:acme", "ada"),
        ("watchlist_remove", "entity:acme", "bob"),
    ]


async def test_an_unchanged_entry_is_not_published_again(bus: EmbeddedBus, editor: WatchlistEditor) -> None:
    """The second edit changes only globex, and the third nothing, so that acme keeps its author."""
    await editor.put([entry("acme"), entry("globex")], "ada")
    edit = await editor.put([entry("acme"), entry("globex", group="makers")], "bob")
    assert (edit.set, edit.first) == (("globex",), False)
    assert (await editor.put([entry("acme")], "eve")).changes == 0
    assert len(await commands(bus)) == 3
    assert [(row.id, row.by) for row in await editor.entries()] == [("acme", "ada"), ("globex", "bob")]


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (entry("other", name="ACME Inc"), "'acme' and 'other' both claim the name 'ACME Inc'"),
        (entry("other", tickers=["ACM"]), "'acme' and 'other' both claim the ticker 'ACM'"),
        (entry("other", isin="US0378331005"), "'acme' and 'other' both claim the isin"),
        (entry("ACME", name="Other"), "'acme' and 'ACME' both claim the id"),
    ],
)
async def test_a_clash_is_refused_and_nothing_is_published(
    bus: EmbeddedBus, editor: WatchlistEditor, new: WatchedEntity, message: str
) -> None:
    """The entry `fine` of the same edit is not published either."""
    await editor.put([entry("acme", tickers=["ACM"], isin="US0378331005")], "ada")
    with pytest.raises(SettingsError, match="the watchlist: ") as refused:
        await editor.put([entry("fine"), new], "bob")
    assert message in str(refused.value)
    assert len(await commands(bus)) == 1
    assert [row.id for row in await editor.entries()] == ["acme"]


async def test_the_name_of_the_author_must_be_unicode(bus: EmbeddedBus, editor: WatchlistEditor) -> None:
    with pytest.raises(SettingsError, match="by"):
        await editor.put([entry("acme")], "\ud800")
    assert await commands(bus) == []


async def test_replacing_removes_the_other_entries_and_frees_their_names(
    bus: EmbeddedBus, editor: WatchlistEditor
) -> None:
    """The new entry takes the name of the removed one in the same edit."""
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


async def test_an_entry_that_is_not_on_the_list_cannot_be_removed(bus: EmbeddedBus, editor: WatchlistEditor) -> None:
    assert (await editor.remove("nobody", "ada")).unknown == ("nobody",)
    assert await commands(bus) == []


async def test_the_base_is_listed_unless_overridden_and_counts_as_entries(bus: EmbeddedBus) -> None:
    """The base is the watchlist of a file. Ids are compared without case, so that acme overrides Acme.

    `first` tells that an edit put the first entry on an empty list, which this one is not.
    """
    editor = WatchlistEditor(bus, Watchlist((entry("Acme", name="Old"), entry("globex"))))
    assert not (await editor.put([entry("acme")], "ada")).first
    assert [(row.id, row.name, row.by) for row in await editor.entries()] == [
        ("acme", "Acme", "ada"),
        ("globex", "Globex", None),
    ]


async def test_concurrent_edits_are_all_kept(tmp_path: Path, bus: EmbeddedBus) -> None:
    """Four editors on three buses of one folder make three edits each, all at once.

    Only one edit, whichever comes first, puts the first entry on the empty list.
    """
    more_buses = [await EmbeddedBus.open(tmp_path, BusSettings()) for _ in range(2)]
    try:
        editors = [WatchlistEditor(writer_bus, Watchlist()) for writer_bus in (bus, bus, *more_buses)]
        edits = await asyncio.gather(
            *(
                editor.put([entry(f"name-{number}-{turn}")], f"writer {number}")
                for turn in range(3)
                for number, editor in enumerate(editors)
            )
        )
    finally:
        for writer_bus in more_buses:
            await writer_bus.close()
    assert sum(edit.changes for edit in edits) == 12
    assert sum(edit.first for edit in edits) == 1
    assert len(await WatchlistEditor(bus, Watchlist()).entries()) == 12
    assert len(await commands(bus)) == 12


async def test_one_of_two_concurrent_edits_that_claim_one_name_is_refused(bus: EmbeddedBus) -> None:
    editor = WatchlistEditor(bus, Watchlist())
    outcomes = await asyncio.gather(
        *(editor.put([entry(name, name="Acme")], "ada") for name in ("first", "second")), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {WatchlistEdit, SettingsError}
    assert len(await editor.entries()) == 1


async def write_entry(bus: EmbeddedBus, key: str, **changed: object) -> None:
    """Writes an entry to the publisher's state, with fields as another version might write them."""
    command: dict[str, object] = {
        "kind": "watchlist_set",
        "target": f"entity:{key}",
        "by": "ada",
        "at": "2026-01-05T10:00:00Z",
    }
    command |= {"value": {"id": key, "name": key.title()}} | changed
    async with bus.publisher("watchlist") as publisher:
        await publisher.publish([], {key: json.dumps(command).encode()})


async def test_a_field_of_a_newer_riskwire_is_ignored(bus: EmbeddedBus, editor: WatchlistEditor) -> None:
    await write_entry(bus, "acme", v=2, value={"id": "acme", "name": "Acme", "lei": "5493001KJTIIGC8Y1R12"}, reason="x")
    assert [(row.id, row.by) for row in await editor.entries()] == [("acme", "ada")]


async def test_an_unreadable_entry_is_named_in_the_error_and_can_be_removed(
    bus: EmbeddedBus, editor: WatchlistEditor
) -> None:
    """The kind of its command is unknown. Reads and other edits fail until the entry is removed."""
    await write_entry(bus, "acme", kind="watchlist_pause")
    with pytest.raises(SettingsError, match=r"the watchlist: acme: kind: .*riskwire watchlist remove acme"):
        await editor.entries()
    with pytest.raises(SettingsError):
        await editor.put([entry("globex")], "bob")
    with pytest.raises(SettingsError):  # `Follower.run` logs it and keeps its linker.
        await Follower(bus, Linker()).poll()
    assert (await editor.remove("acme", "bob")).removed == ("acme",)
    assert await editor.entries() == []


async def test_a_follower_replaces_its_linker_when_there_are_new_commands(
    bus: EmbeddedBus, editor: WatchlistEditor
) -> None:
    """A linker finds the entities of mentions. Without entries set by command it is the base itself."""
    base = Linker(Watchlist((entry("globex"),)))
    follower = Follower(bus, base)
    await follower.poll()
    assert follower.linker is base
    await editor.put([entry("acme")], "ada")
    await follower.poll()
    first = follower.linker
    assert [entity.id for entity in first.watchlist.entities] == ["acme", "globex"]
    await follower.poll()
    assert follower.linker is first
    await editor.remove("acme", "ada")
    await follower.poll()
    assert follower.linker is base


async def test_the_author_and_the_comment_may_not_contain_terminal_control_characters(editor: WatchlistEditor) -> None:
    """Line breaks and tabs are allowed in the comment, but not in the author's name."""
    for by, comment in [("eve\x1b[2J", ""), ("e\nve", ""), ("eve", "why\x9b"), ("eve", "why\u2028")]:
        with pytest.raises(SettingsError, match="has a control character"):
            await editor.put([entry("acme")], by, comment=comment)
    assert (await editor.put([entry("acme")], "eve", comment="why:\n\tbecause")).set == ("acme",)


async def test_a_name_of_the_file_is_refused_and_not_moved(bus: EmbeddedBus) -> None:
    """Apple's news would go to the new entry, and the holding would fall silent. Replacing the entry is allowed."""
    file = Watchlist((entry("aapl", aliases=["Apple"]), entry("gm", tickers=["GM"])), "file.yaml")
    editor = WatchlistEditor(bus, file)
    with pytest.raises(SettingsError, match=r"file\.yaml: 'aapl' of the watchlist file has the name 'apple' already"):
        await editor.put([entry("orchard", aliases=["apple"])], "ada")
    with pytest.raises(SettingsError, match="ticker 'GM'"):
        await editor.put([entry("genmills", tickers=["GM"])], "ada")
    assert await commands(bus) == []
    assert (await editor.put([entry("aapl", aliases=["Apple", "iPhone"])], "ada")).set == ("aapl",)


async def test_the_list_of_the_running_process_is_known_to_commands(bus: EmbeddedBus) -> None:
    """A command does not see the options of the process, so the process keeps its file on the bus."""
    assert await read_base(bus) is None
    await publish_base(bus, Watchlist((entry("aapl"), entry("gm")), "first.yaml"))
    await publish_base(bus, Watchlist((entry("aapl", tickers=["AAPL"]),), "second.yaml"))
    base = await read_base(bus)
    assert base is not None
    assert (base.where, base.entities) == ("second.yaml", (entry("aapl", tickers=["AAPL"]),))
