"""Remembers which command log the store was filled from.

The store contains offsets of that log (`read_with`), which mean nothing in another log. A store can outlive its bus:
another `kafka.prefix`, a new data directory with the same PostgreSQL database, topics that were created again. Articles
that were read under an earlier log count as read before every command of the new one.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update

from riskwire.store import tables
from riskwire.store.upsert import upsert

_COUNTER = "command log"


@dataclass(frozen=True, slots=True)
class CommandLog:
    """The identity of the command log that the store has read, and how far it was read.

    Attributes:
        number: the random number that identifies the log, or None if none was stored.
        last: the largest offset of a command that any article was read with, or None.
    """

    number: int | None
    last: int | None


def command_log(connection: Connection) -> CommandLog:
    """Returns which command log (topic `commands` of one bus) the store was filled from, and its largest stored offset.

    The number of the log is None if none was stored. The offset is None if no article has one; it is looked for in the
    column `read_with`, which is -1 or NULL for an article that was analysed before any command.
    """
    counter = tables.counters.c
    number = connection.execute(select(counter.value).where(counter.name == _COUNTER)).scalar_one_or_none()
    columns = (tables.articles.c.read_with, tables.replaced_versions.c.read_with)
    newest = [connection.execute(select(func.max(column))).scalar_one() for column in columns]
    last = max((offset for offset in newest if offset is not None), default=-1)
    return CommandLog(number, last if last >= 0 else None)


def set_command_log(connection: Connection, number: int, *, forget_offsets: bool) -> None:
    """Stores the number that identifies the command log (topic `commands`) from which the store is filled.

    Args:
        forget_offsets: whether the content was read under another log, whose offsets mean nothing in this one. They
            are then removed: articles count as read before every command, and replaced versions are deleted.
    """
    if forget_offsets:
        article = tables.articles.c
        connection.execute(update(tables.articles).where(article.read_with.is_not(None)).values(read_with=None))
        connection.execute(delete(tables.replaced_versions))
    upsert(connection, tables.counters, [{"name": _COUNTER, "value": number}])
