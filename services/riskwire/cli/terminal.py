"""Output for people and programs. Text from outside is printed literally: no markup, no control of the terminal."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from datetime import datetime, tzinfo

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from riskwire.records import to_json


def printable(text: str, *, lines: bool = False) -> str:
    """Returns a text with escapes in place of the characters that control a terminal.

    Args:
        lines: keeps line breaks.
    """
    return "".join(
        character
        if character.isprintable() or (lines and character == "\n")
        else character.encode("unicode_escape").decode()
        for character in text
    )


def counted(number: int, singular: str, plural: str = "") -> str:
    """Returns a number with its noun: `1 feed`, `2 feeds`.

    Args:
        plural: the plural, unless it is the singular with an s.
    """
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def time_text(at: datetime | None, zone: tzinfo, *, empty: str = "", seconds: bool = False) -> str:
    """Returns a time of a table whose heading names the zone: `2031-03-01 14:05`.

    Args:
        empty: the text if there is no time.
        seconds: adds the seconds.
    """
    return empty if at is None else f"{at.astimezone(zone):{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}}"


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str = "", uncut: Collection[str] = ()
) -> None:
    """Prints a table of texts to standard output. Escapes characters that control a terminal.

    Args:
        columns: the headings.
        empty: printed if there are no rows.
        uncut: columns that keep their width in a narrow terminal; the other columns shrink.
    """
    console = Console()
    if not rows:
        console.print(Text(printable(empty)))
        return
    cells = [[printable(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        width = max(cell_len(row[number]) for row in cells)
        table.add_column(column, min_width=width if column in uncut else None, no_wrap=column in uncut)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def stories_bar(*fields: str) -> Progress:
    """Returns a progress bar on standard error, which is shown if that is a terminal. Its tasks count `stories`.

    Args:
        fields: further fields of its tasks, which stand behind the stories.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[stories]} stories"),
        *(TextColumn(f"{{task.fields[{field}]}}") for field in fields),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


def print_json_lines(rows: Sequence[object]) -> None:
    """Prints one JSON object a line, in UTF-8 whatever the encoding of the terminal."""
    sys.stdout.flush()
    for row in rows:
        sys.stdout.buffer.write(to_json(row) + b"\n")
    sys.stdout.buffer.flush()
