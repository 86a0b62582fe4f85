"""The formats of archives: JSON lines, CSV and Parquet. Rows of the last two are converted to JSON lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import orjson

from riskwire.errors import RiskwireError
from riskwire.ingest.replay import parquet
from riskwire.ingest.replay.archive_item import MAX_VALUE, ArchiveLine
from riskwire.ingest.replay.content import COMPRESSED, open_content

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CHECKED_LINES = 20
_BLANK_LINES = 10_000
"""Blank lines between two questions whether to stop."""
_TABLE_SUFFIXES = (".csv", ".tsv")
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class ArchiveFormat:
    """The format of an archive. `delimiter` is between the cells of CSV."""

    kind: Literal["json", "csv", "parquet"]
    delimiter: str = ""


def detect_format(path: Path, beginning: bytes) -> ArchiveFormat:
    """Returns the format of an archive, from the first bytes of its content; CSV only if its name ends in .csv or .tsv.

    Raises:
        RiskwireError: the content has another format. The message names that format, if it is recognised.
    """
    if beginning.startswith(parquet.MAGIC):
        return ArchiveFormat("parquet")
    text = beginning.removeprefix(_BOM)
    lines = [line for line in text.split(b"\n") if line.strip()][:_CHECKED_LINES]
    is_binary = b"\0" in beginning[:1_024]
    is_json = any(line.lstrip(b" \t").startswith(b"{") for line in lines)
    uncompressed = path.with_suffix("") if path.suffix in COMPRESSED else path
    if lines and not is_binary and not is_json and uncompressed.suffix.lower() in _TABLE_SUFFIXES:
        header = lines[0].decode("utf-8", "replace")
        return ArchiveFormat("csv", max(_DELIMITERS, key=header.count))
    if lines and (is_binary or not is_json):
        content_kind = "UTF-16 text" if beginning.startswith(_UTF16) else "binary" if is_binary else "other text"
        content_kind = "a JSON array" if lines[0].lstrip().startswith(b"[") and not is_binary else content_kind
        raise RiskwireError(
            f"the archive is not JSON lines but {content_kind}",
            value=lines[0][:MAX_VALUE],
            where=str(path),
            do='Each line is {"published_at": …, "title": …}; the name of a CSV file ends in .csv or .tsv',
        )
    return ArchiveFormat("json")


def read_lines(
    path: Path, archive_format: ArchiveFormat, max_line: int, stopped: Callable[[], bool]
) -> Iterator[ArchiveLine]:
    """Yields the lines of an archive that are not blank, in order, as JSON. For the arguments see `Archive.lines`."""
    if archive_format.kind == "parquet":
        yield from parquet.read_rows(path)
        return
    with open_content(path) as (content, file):
        yield from _text_lines_of(content, file, archive_format, max_line, stopped)


def read_first_lines(
    path: Path, beginning: bytes, archive_format: ArchiveFormat, max_line: int, most: int
) -> list[ArchiveLine]:
    """Returns the lines in the beginning of an archive, at most `most`.

    Args:
        beginning: the first bytes of the content, up to the end of a line. Of Parquet the file is read.
    """
    if archive_format.kind == "parquet":
        return list(islice(parquet.read_rows(path), most))
    content = io.BufferedReader(cast(Any, io.BytesIO(beginning)))
    return list(islice(_text_lines_of(content, content, archive_format, max_line, lambda: False), most))


def _text_lines_of(
    content: io.BufferedReader,
    file: BinaryIO,
    archive_format: ArchiveFormat,
    max_line: int,
    stopped: Callable[[], bool],
) -> Iterator[ArchiveLine]:
    if content.peek(len(_BOM)).startswith(_BOM):
        content.read(len(_BOM))
    if archive_format.kind == "json":
        yield from _json_lines(content, file, max_line, stopped)
    else:
        yield from _table_rows(content, file, archive_format.delimiter, max_line, stopped)


def _json_lines(
    content: io.BufferedReader, file: BinaryIO, max_line: int, stopped: Callable[[], bool]
) -> Iterator[ArchiveLine]:
    """Yields the lines of JSON lines."""
    number = 0
    while raw := content.readline(max_line + 1):
        number += 1
        complete = len(raw) <= max_line or raw.endswith(b"\n")
        if not complete:
            _skip_line(content, max_line, stopped)
        if stripped := raw.strip():
            yield ArchiveLine(number, stripped, complete, file.tell())
        elif number % _BLANK_LINES == 0 and stopped():
            return


def _table_rows(
    content: io.BufferedReader, file: BinaryIO, delimiter: str, max_line: int, stopped: Callable[[], bool]
) -> Iterator[ArchiveLine]:
    """Yields the rows of CSV as JSON objects of text, by the names in the first row.

    A row with an open quote or too long a cell is not complete; reading goes on with the line after it.
    """
    csv.field_size_limit(max_line)
    rows = csv.reader(_text_lines(content, max_line, stopped), delimiter=delimiter)
    header: list[str] | None = None
    row_number = 0
    while True:
        row_number += 1
        if row_number % _BLANK_LINES == 0 and stopped():
            return
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield ArchiveLine(rows.line_num, f"not a row of CSV: {error}".encode(), False, file.tell())
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            continue
        raw = orjson.dumps(dict(zip(header, cells, strict=False)))
        yield ArchiveLine(rows.line_num, raw[: max_line + 1], len(raw) <= max_line, file.tell())


def _text_lines(content: io.BufferedReader, max_line: int, stopped: Callable[[], bool]) -> Iterator[str]:
    """Yields the lines of a text in UTF-8; a byte that is not UTF-8 is replaced, and a longer line is cut."""
    number = 0
    while raw := content.readline(max_line + 1):
        number += 1
        if not raw.endswith(b"\n") and len(raw) > max_line:
            _skip_line(content, max_line, stopped)
            raw += b"\n"
        if number % _BLANK_LINES == 0 and stopped():
            return
        yield raw.decode("utf-8", "replace").replace("\0", "")


def _skip_line(content: io.BufferedReader, chunk_size: int, stopped: Callable[[], bool]) -> None:
    """Reads to the end of the line, in chunks, so that a huge line takes little memory; less when it is to stop."""
    while (chunk := content.readline(chunk_size)) and not chunk.endswith(b"\n"):
        if stopped():
            return
