"""Exports one kind of rows of a store into a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from riskwire.errors import SettingsError
from riskwire.records import to_ms
from riskwire.settings import Settings
from riskwire.store.database.engine import open_engine, reported
from riskwire.store.database.postgresql.sessions import snapshot_options
from riskwire.store.exports.columns import Row
from riskwire.store.exports.files import write_csv, write_parquet
from riskwire.store.exports.kinds import COLUMNS, ExportKind, Selection, rows


def export_rows(
    settings: Settings,
    kind: ExportKind,
    path: Path | None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    target: str | None = None,
    replace: bool = False,
) -> int:
    """Writes the rows of a kind, by time, and returns their number. All are of one state of the store.

    The file appears when it is complete.

    Args:
        path: the file, `.csv` or `.parquet`; None writes CSV to standard output.
        since: only rows from this time on; `until` is the end, exclusive.
        target: only rows about this target.
        replace: whether to replace an existing file.

    Raises:
        SettingsError: the file has another ending, exists, or cannot be written; or pyarrow is not installed.
        StoreError: the store does not exist or cannot be read.
        StoreVersionError: another version of riskwire wrote the store.
    """
    if path is not None:
        _check_path(path, replace)
    start, end = (None if time is None else to_ms(time) for time in (since, until))
    selection = Selection(start, end, target)
    engine = open_engine(settings, read_only=True)
    try:
        with (
            reported(engine.url.render_as_string(hide_password=True)),
            engine.connect().execution_options(**snapshot_options(engine)) as connection,
        ):
            exported_rows = rows(connection, kind, selection)
            if path is None:
                return write_csv(sys.stdout, COLUMNS[kind], exported_rows)
            return _write(path, kind, exported_rows)
    finally:
        engine.dispose()


def _check_path(path: Path, replace: bool) -> None:
    """Raises a `SettingsError` if the file cannot be the one to write."""
    if path.suffix not in (".csv", ".parquet"):
        raise SettingsError("not a file for an export", value=str(path), do="Name one that ends in .csv or .parquet")
    if path.exists() and not replace:
        raise SettingsError("this file exists", value=str(path), do="Name another, or replace it with --force")
    if not path.parent.is_dir():
        raise SettingsError("there is no such directory", value=str(path.parent))


def _write(path: Path, kind: ExportKind, found: Iterable[Row]) -> int:
    """Writes the file under another name first, and removes that if it fails.

    Raises:
        SettingsError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.suffix == ".parquet":
            count = write_parquet(part, COLUMNS[kind], found)
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                count = write_csv(file, COLUMNS[kind], found)
        part.replace(path)
    except OSError as error:
        raise SettingsError("the export cannot be written", value=str(path)) from error
    finally:
        part.unlink(missing_ok=True)
    return count
