"""Reads the rows of Parquet files, with pyarrow (extra `parquet`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from riskwire.errors import RiskwireError
from riskwire.ingest.replay.archive_item import ArchiveLine

MAGIC = b"PAR1"
_ROWS = 1_000
"""Rows that are read at once."""


def read_rows(path: Path) -> Iterator[ArchiveLine]:
    """Yields the rows of a file as JSON objects.

    Raises:
        RiskwireError: pyarrow is not installed, or the file is damaged.
    """
    try:
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise RiskwireError(
            "reading Parquet needs pyarrow", where=str(path), do='Install it: pip install "riskwire[parquet]"'
        ) from None
    size = path.stat().st_size
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            count = max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(batch_size=_ROWS):
                for row in _rows(batch):
                    number += 1
                    yield ArchiveLine(number, row, True, size * number // count)
    except pyarrow.ArrowException as error:
        raise RiskwireError(f"the archive is damaged after row {number}", where=str(path)) from error


def _rows(batch: Any) -> Iterator[bytes]:
    """Yields the rows of a batch as JSON. Times are cut to microseconds; what has no form in JSON becomes text."""
    import pyarrow  # noqa: PLC0415

    columns = []
    for column in batch.columns:
        kind = column.type
        if pyarrow.types.is_timestamp(kind) and kind.unit == "ns":
            column = column.cast(pyarrow.timestamp("us", kind.tz), safe=False)  # noqa: PLW2901
        columns.append(column.to_pylist())
    for values in zip(*columns, strict=True):
        yield orjson.dumps(dict(zip(batch.schema.names, values, strict=True)), default=str)
