"""Lists watched entities as targets before they are in the news, so that every holding is visible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, delete, select

from riskwire.records import Command
from riskwire.store import tables
from riskwire.store.changes import record_changes
from riskwire.store.rows import target_kind
from riskwire.store.upsert import chunks, upsert

WITHOUT_NEWS = -2
"""`named_ms` of a target that is listed only because it is watched."""


@dataclass(frozen=True, slots=True)
class WatchedTarget:
    """A watched entity as a target."""

    target: str
    name: str
    groups: tuple[str, ...] = ()


def list_watched(connection: Connection, watched: Sequence[WatchedTarget]) -> None:
    """Makes the targets without news exactly those of `watched` that have none."""
    target = tables.targets.c
    listed = connection.execute(select(target.target).where(target.named_ms == WITHOUT_NEWS)).scalars().all()
    _unlist(connection, sorted(set(listed) - {entity.target for entity in watched}))
    _list(connection, watched)


def list_commanded(connection: Connection, commands: Iterable[Command]) -> None:
    """Lists the entities that commands put on the watchlist, and removes those without news that they take off."""
    for command in commands:
        if command.target is None:
            continue
        if command.kind == "watchlist_set":
            name, group = command.value.get("name"), command.value.get("group")
            groups = (group,) if isinstance(group, str) else ()
            _list(connection, [WatchedTarget(command.target, str(name or command.target), groups)])
        elif command.kind == "watchlist_remove":
            _unlist(connection, [command.target])


def _list(connection: Connection, watched: Sequence[WatchedTarget]) -> None:
    rows = {
        entity.target: {
            "target": entity.target,
            "kind": target_kind(entity.target),
            "name": entity.name,
            "groups": orjson.dumps(entity.groups).decode(),
            "named_ms": WITHOUT_NEWS,
            "stories": 0,
            "articles": 0,
            "counted_ms": None,
            "surprise": 0.0,
            "surprise_ms": -1,
            "surprise_s": 0,
        }
        for entity in watched
    }
    stored = tables.targets.c
    for chunk in chunks(rows.values()):
        changed = upsert(
            connection,
            tables.targets,
            chunk,
            columns=("name", "groups"),
            newer=lambda _: stored.named_ms == WITHOUT_NEWS,
        )
        record_changes(connection, [("target", target) for (target,) in sorted(changed)])


def _unlist(connection: Connection, targets: Sequence[str]) -> None:
    """Deletes those of the targets that have no news."""
    target = tables.targets.c
    for chunk in chunks(targets):
        connection.execute(delete(tables.targets).where(target.target.in_(chunk), target.named_ms == WITHOUT_NEWS))
