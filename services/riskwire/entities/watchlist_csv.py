"""Watchlists as spreadsheets export them: CSV with `,`, `;` or tabs, other names of columns, and without ids."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog

from riskwire.errors import SettingsError

log = structlog.get_logger(__name__)

_SYNONYMS = {
    "id": ("key", "entity id", "identifier"),
    "name": (
        *("company", "company name", "issuer", "issuer name", "security", "security name", "holding", "holding name"),
        *("instrument", "instrument name", "legal name", "short name", "entity", "entity name", "firm"),
    ),
    "aliases": ("alias", "aka", "also known as", "other names", "other name", "synonyms"),
    "tickers": ("ticker", "symbol", "symbols", "ticker symbol", "stock symbol"),
    "isin": ("isin code", "isin number"),
    "group": ("sector", "industry", "portfolio", "gics sector", "book"),
    "exclude": ("excluded", "excludes", "exclude phrases"),
    "weight": ("exposure", "exposure weight", "portfolio weight"),
}
"""Names of columns that count as a field, besides the name of the field."""
_FIELD_OF = {name: field for field, names in _SYNONYMS.items() for name in (field, *names)}
_LISTS = ("aliases", "tickers", "exclude")
_DELIMITERS = (",", ";", "\t")
_DECIMAL_COMMA = re.compile(r"(\d+),(\d{1,2}|\d{4,})$")
"""A number with a decimal comma. Three digits after it may as well be thousands, and are refused."""
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""The first line by which Excel tells the separator."""
_SIMILAR = 0.8


def csv_entries(text: str, path: Path) -> Sequence[tuple[str, dict[str, object]]]:
    """Returns the rows of a CSV watchlist as mappings of fields, each after its line for messages.

    Empty cells and rows are left out; rows are not validated. A row without an id gets its first ticker as id, in lower
    case, or else its ISIN. A weight may have a decimal comma and a `%`.

    Args:
        path: the file, for messages.

    Raises:
        SettingsError: the text is not CSV, has no column `name`, a column that looks misspelt, two columns for one
            field, or too many cells in a row.
    """
    first = _SEPARATOR_LINE.match(text)
    text = text[first.end() :] if first else text
    delimiter = first[1] if first else _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    skipped = 1 if first else 0
    entries: list[tuple[str, dict[str, object]]] = []
    try:
        fields = _fields(next(reader, []), path)
        for row in reader:
            line = f"line {reader.line_num + skipped}"
            if any(cell.strip() for cell in row[len(fields) :]):
                raise SettingsError("more cells than columns", value=row[len(fields) :], where=f"{path}: {line}")
            cells = {field: cell.strip() for field, cell in zip(fields, row, strict=False) if field and cell.strip()}
            if cells:
                entries.append((line, _entry(cells)))
    except csv.Error as error:
        raise SettingsError("the watchlist is not CSV", where=f"{path}: line {reader.line_num + skipped}") from error
    return entries


def _delimiter(text: str) -> str:
    """Returns the character that separates the columns: the most frequent candidate in the first line, else a comma."""
    header = text.partition("\n")[0]
    return max(_DELIMITERS, key=header.count)


def _fields(columns: Sequence[str], path: Path) -> list[str]:
    """Returns the field of each column, empty for a column that is ignored.

    Raises:
        SettingsError: there is no column for the name, two for one field, or one that looks misspelt.
    """
    fields: list[str] = []
    ignored: list[str] = []
    for column in columns:
        name = " ".join(re.findall(r"\w+", column.casefold()))
        field = _FIELD_OF.get(name, "")
        if not field and name:
            if similar := difflib.get_close_matches(name, _FIELD_OF, 1, _SIMILAR):
                raise SettingsError(
                    "unknown column", value=column, where=str(path), do=f"Write `{similar[0]}`, or give it another name"
                )
            ignored.append(column)
        fields.append(field)
    repeated = sorted({field for field in fields if field and fields.count(field) > 1})
    if repeated or "name" not in fields:
        problem = f"several columns for `{repeated[0]}`" if repeated else "there is no column `name`"
        allowed = ", ".join(_SYNONYMS)
        raise SettingsError(problem, value=list(columns), where=str(path), do=f"The columns are {allowed}")
    if ignored:
        log.warning("columns of the watchlist are ignored", file=str(path), columns=ignored)
    return fields


def _entry(cells: dict[str, str]) -> dict[str, object]:
    """Returns a row as an entry: with lists of aliases, tickers and excluded phrases, and with an id."""
    entry: dict[str, object] = {**cells, **{field: list(_parts(cells[field])) for field in _LISTS if field in cells}}
    if "weight" in cells:
        entry["weight"] = _DECIMAL_COMMA.sub(r"\1.\2", cells["weight"].removesuffix("%").strip())
    if "id" not in cells:
        tickers = [*_parts(cells.get("tickers", ""))][:1]
        identifier = tickers[0].strip().lstrip("$").lower() if tickers else cells.get("isin", "").lower()
        if identifier:
            entry = {"id": identifier, **entry}
    return entry


def _parts(cell: str) -> Iterator[str]:
    """Yields the parts of a cell that `|` or `;` separate, without empty ones."""
    return (part for part in re.split(r"[|;]", cell) if part.strip())
