"""Writes the rows of an export as CSV or Parquet, a part at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any

from riskwire.errors import SettingsError
from riskwire.store.exports.columns import ColumnType, ExportColumn, Row

_ROWS_A_PART = 5_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would run as a formula."""


def write_csv(file: IO[str], columns: Sequence[ExportColumn], rows: Iterable[Row]) -> int:
    """Writes rows as CSV with a header, and returns their number. Times are ISO 8601 in UTC, with milliseconds.

    A text that a spreadsheet would run as a formula gets an apostrophe before it: titles come from outside.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(column.name for column in columns)
    count = 0
    for row in rows:
        writer.writerow(_cell(column.value(row)) for column in columns)
        count += 1
    return count


def write_parquet(path: Path, columns: Sequence[ExportColumn], rows: Iterable[Row]) -> int:
    """Writes rows as Parquet (zstd), and returns their number. Times are timestamps in UTC.

    Raises:
        SettingsError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise SettingsError(
            "writing Parquet needs pyarrow", where=str(path), do='Install it: pip install "riskwire[parquet]"'
        ) from None
    types = {
        ColumnType.TEXT: pyarrow.string(),
        ColumnType.JSON: pyarrow.string(),
        ColumnType.INTEGER: pyarrow.int64(),
        ColumnType.NUMBER: pyarrow.float64(),
        ColumnType.FLAG: pyarrow.bool_(),
        ColumnType.TIME: pyarrow.timestamp("ms", tz="UTC"),
    }
    schema = pyarrow.schema([(column.name, types[column.type]) for column in columns])
    count = 0
    iterator = iter(rows)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while part := list(islice(iterator, _ROWS_A_PART)):
            values = {column.name: [column.value(row) for row in part] for column in columns}
            writer.write_table(pyarrow.table(values, schema=schema))
            count += len(part)
    return count


def _cell(value: Any) -> Any:
    """Returns the text of a value in a CSV file; None as an empty cell."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
