"""Reads an archive: news as JSON lines, uncompressed, .gz or .zst. It is read as a stream, with bounded lines."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import zstandard
from pydantic import ValidationError, field_validator, model_validator

from riskwire.errors import RiskwireError, SchemaError
from riskwire.records import Record, Utc, content_id, schema_error

_BEGINNING = 65_536
"""Bytes of the decompressed content that identify an archive."""
_CHECKED_LINES = 20
_BLANK_LINES = 4_096
"""After so many blank lines, or parts of a line that is too long, a reader looks whether it is to stop."""
_MAX_VALUE = 80
"""Bytes of a line in an error."""
_MAX_WINDOW = 2**27
"""The largest window of a zstd file, which bounds the memory of its decompression."""

_MAGIC = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
_DAMAGE_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)


class ArchiveItem(Record):
    """The item in one line of an archive. Other fields are ignored."""

    published_at: Utc
    title: str
    url: str = ""
    summary: str = ""
    text: str = ""
    source: str = ""
    publisher: str = ""
    language: str = ""

    @field_validator("title", "url", "summary", "text", "source", "publisher", "language", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return "" if value is None else value

    @model_validator(mode="after")
    def _has_text(self) -> Self:
        """Returns the item.

        Raises:
            ValueError: it has neither title nor text.
        """
        if not (self.title.strip() or self.text.strip() or self.summary.strip()):
            raise ValueError("title and text are both empty")
        return self


@dataclass(frozen=True, slots=True)
class ArchiveLine:
    """A line of an archive that is not blank.

    Attributes:
        number: counts all lines from 1, blank ones included.
        complete: False if the line was too long, and `raw` is only its beginning.
        bytes_read: the bytes of the file that were read up to the end of this line.
    """

    number: int
    raw: bytes
    complete: bool
    bytes_read: int


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that `open_archive` has checked.

    Attributes:
        identity: a hash of the beginning of the decompressed content. It is the same after the file was moved, renamed
            or compressed differently.
        size: bytes of the file.
    """

    path: Path
    identity: str
    size: int

    def lines(self, max_line: int, stopped: Callable[[], bool] = lambda: False) -> Iterator[ArchiveLine]:
        """Yields the lines that are not blank, in order.

        Args:
            max_line: the most bytes of a line; of a longer line only the beginning is returned, as not `complete`.
            stopped: whether to end early. It is asked while blank lines or the rest of a long line are skipped, since
                a small compressed file can hold billions of them.

        Raises:
            RiskwireError: the archive is damaged or truncated.
        """
        number = 0
        try:
            with _open_content(self.path) as (content, file):
                while raw := content.readline(max_line + 1):
                    number += 1
                    complete = len(raw) <= max_line or raw.endswith(b"\n")
                    if not complete:
                        _skip_line(content, max_line, stopped)
                    if stripped := raw.strip():
                        yield ArchiveLine(number, stripped, complete, file.tell())
                    elif number % _BLANK_LINES == 0 and stopped():
                        return
        except (OSError, *_DAMAGE_ERRORS) as error:
            raise RiskwireError(
                f"the archive is damaged or truncated after line {number}", where=str(self.path)
            ) from error


def open_archive(path: Path) -> Archive:
    """Checks a file, and returns it as an archive: its size, and an identity that is a hash of the beginning.

    Raises:
        RiskwireError: the file is missing, cannot be read, or is not an archive.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        _check_compression(magic, path)
        with _open_content(path) as (content, _):
            beginning = _read_up_to(content, _BEGINNING)
        size = path.stat().st_size
    except (OSError, *_DAMAGE_ERRORS) as error:
        raise RiskwireError("the archive cannot be read", where=str(path)) from error
    _check_json_lines(beginning, path)
    return Archive(path, content_id("archive", beginning.decode("latin-1")), size)


def parse_line(line: ArchiveLine, name: str) -> ArchiveItem:
    """Returns the item of a line.

    Args:
        name: the name of the archive, for the error.

    Raises:
        SchemaError: the line has no valid item. The message has the number of the line and the field.
    """
    where = f"{name}, line {line.number}"
    if not line.complete:
        raise SchemaError("a line longer than ingest.max_line", value=line.raw[:_MAX_VALUE], where=where)
    try:
        return ArchiveItem.model_validate_json(line.raw)
    except ValidationError as error:
        raise schema_error(error, where) from None


@contextmanager
def _open_content(path: Path) -> Iterator[tuple[io.BufferedReader, BinaryIO]]:
    """Opens an archive. Yields its decompressed content, and the file, whose position shows the progress."""
    with path.open("rb") as file:
        raw: Any = file
        if path.suffix == ".gz":
            raw = gzip.GzipFile(fileobj=file)
        elif path.suffix == ".zst":
            raw = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).stream_reader(file, read_across_frames=True)
        yield io.BufferedReader(cast(Any, raw), buffer_size=_BEGINNING), file


def _read_up_to(content: io.BufferedReader, max_bytes: int) -> bytes:
    """Returns the next `max_bytes` of the content, or fewer at its end."""
    data = b""
    while len(data) < max_bytes and (chunk := content.read(max_bytes - len(data))):
        data += chunk
    return data


def _skip_line(content: io.BufferedReader, chunk_size: int, stopped: Callable[[], bool]) -> None:
    """Reads to the end of the line, in chunks, so that a huge line takes little memory; less when it is to stop."""
    while (chunk := content.readline(chunk_size)) and not chunk.endswith(b"\n"):
        if stopped():
            return


def _check_compression(magic: bytes, path: Path) -> None:
    """Checks that a file is compressed as its suffix (.gz, .zst) states, by the first bytes of the file (`magic`).

    Raises:
        RiskwireError: suffix and compression differ.
    """
    for suffix, expected in _MAGIC.items():
        is_named, is_compressed = path.suffix == suffix, magic.startswith(expected)
        if is_named != is_compressed:
            fault = f"named {suffix} but not compressed as such" if is_named else f"compressed as {suffix}"
            raise RiskwireError(
                f"the archive is {fault}",
                where=str(path),
                do="Name it .gz or .zst according to its compression; without compression use any other suffix",
            )


def _check_json_lines(beginning: bytes, path: Path) -> None:
    """Checks that a file starts like JSON lines; a single bad line does not matter, since it becomes a dead letter.

    A file without any lines passes.

    Args:
        beginning: the first bytes of the content, decompressed.

    Raises:
        RiskwireError: none of the first `_CHECKED_LINES` lines begins like a JSON object, or the content is binary.
    """
    lines = [line for line in beginning.split(b"\n") if line.strip()][:_CHECKED_LINES]
    has_json = any(line.lstrip(b"\xef\xbb\xbf \t").startswith(b"{") for line in lines)
    if lines and (b"\0" in beginning[:1_024] or not has_json):
        raise RiskwireError(
            "the archive is not JSON lines",
            value=lines[0][:_MAX_VALUE],
            where=str(path),
            do='Each line is {"published_at": …}',
        )
