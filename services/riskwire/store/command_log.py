"""Which log of commands the store goes with: the offsets that it holds (`read_with`) mean nothing in another.

A store outlives its bus: another `kafka.prefix`, a new --data beside the same PostgreSQL, topics made anew. What was
read under an earlier log is past for every command of the new one.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update

from riskwire.store import tables
from riskwire.store.upsert import upsert

_NAME = "command log"


@dataclass(frozen=True, slots=True)
class CommandLog:
    """What the store knows of its log: its number (None: it was not told), and the newest command (its offset) that
    anything was read with (None: nothing was, or before any)."""

    number: int | None
    last: int | None


def command_log(connection: Connection) -> CommandLog:
    """The log that the store goes with."""
    number = tables.numbers.c
    found = connection.execute(select(number.value).where(number.name == _NAME)).scalar_one_or_none()
    reads = (tables.articles.c.read_with, tables.replaced.c.read_with)
    newest = [one for read in reads if (one := connection.execute(select(func.max(read))).scalar_one()) is not None]
    last = max(newest, default=-1)
    return CommandLog(found, last if last >= 0 else None)


def go_with(connection: Connection, number: int, *, anew: bool) -> None:
    """Let the store go with the log of this number; `anew`: what it holds was read under another."""
    if anew:
        article = tables.articles.c
        connection.execute(update(tables.articles).where(article.read_with.is_not(None)).values(read_with=None))
        connection.execute(delete(tables.replaced))
    upsert(connection, tables.numbers, [{"name": _NAME, "value": number}])
