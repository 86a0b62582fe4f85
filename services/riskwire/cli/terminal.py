"""What commands say to people: text from outside is shown as it is, is no markup, and does not steer the terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text


def printable(text: str, *, lines: bool = False) -> str:
    """Text from outside as it may go to a terminal: what would steer it is shown as an escape.

    Args:
        lines: line breaks may stay.
    """
    return "".join(
        each if each.isprintable() or (lines and each == "\n") else each.encode("unicode_escape").decode()
        for each in text
    )


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str = "", whole: Collection[str] = ()
) -> None:
    """A table for people; `empty` is said where there are no rows.

    Args:
        whole: columns that are never cut, however narrow the terminal is: others give way.
    """
    console = Console()
    if not rows:
        console.print(Text(printable(empty)))
        return
    shown = [[printable(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        widest = max(cell_len(row[number]) for row in shown)
        table.add_column(column, min_width=widest if column in whole else None, no_wrap=column in whole)
    for row in shown:
        table.add_row(*map(Text, row))
    console.print(table)
