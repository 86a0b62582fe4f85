"""An archive: news as JSON lines, plain, .gz or .zst. Read as a stream; no line is longer than a bound."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import zstandard
from pydantic import ValidationError, field_validator, model_validator

from riskwire.errors import RiskwireError, SchemaError
from riskwire.records import Record, Utc, content_id, schema_error

HEAD = 65_536
"""Bytes of the content that tell which archive it is, wherever it lies and however it is packed."""

_MAGIC = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)
_LOOKED_AT = 20


class ArchiveItem(Record):
    """One line of an archive; other fields are ignored."""

    published_at: Utc
    title: str
    url: str = ""
    summary: str = ""
    text: str = ""
    source: str = ""
    language: str = ""

    @field_validator("title", "url", "summary", "text", "source", "language", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return "" if value is None else value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.title.strip() or self.text.strip() or self.summary.strip()):
            raise ValueError("title and text are both empty")
        return self


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank; `number` counts all lines from 1, `read` the bytes of the file that were read."""

    number: int
    raw: bytes
    whole: bool
    read: int


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that has been checked; `open_archive` makes one."""

    path: Path
    identity: str
    """Names the archive by its content."""
    size: int
    """Bytes of the file."""

    def lines(self, max_line: int) -> Iterator[Line]:
        """The lines that are not blank, in order; of one longer than `max_line` bytes only its beginning.

        Raises:
            RiskwireError: the archive cannot be read on; names the line.
        """
        number = 0
        try:
            with _content(self.path) as (content, file):
                while raw := content.readline(max_line + 1):
                    number += 1
                    whole = len(raw) <= max_line or raw.endswith(b"\n")
                    if not whole:
                        _skip_line(content, max_line)
                    if stripped := raw.strip():
                        yield Line(number, stripped, whole, file.tell())
        except (OSError, *_DAMAGE) as error:
            raise RiskwireError(
                f"the archive is damaged or breaks off after line {number}", where=str(self.path)
            ) from error


def open_archive(path: Path) -> Archive:
    """Check that a file is an archive.

    Raises:
        RiskwireError: missing, unreadable, or not what its suffix says.
    """
    try:
        with path.open("rb") as file:
            first = file.read(4)
        _check_packing(first, path)
        with _content(path) as (content, _):
            head = _read_up_to(content, HEAD)
        size = path.stat().st_size
    except (OSError, *_DAMAGE) as error:
        raise RiskwireError("the archive cannot be read", where=str(path)) from error
    _check_lines(head, path)
    return Archive(path, content_id("archive", head.decode("latin-1")), size)


def read_line(line: Line, where: str) -> ArchiveItem:
    """The item of a line.

    Raises:
        SchemaError: naming the line and the field.
    """
    place = f"{where}, line {line.number}"
    if not line.whole:
        raise SchemaError("a line longer than ingest.max_line", value=line.raw[:80], where=place)
    try:
        return ArchiveItem.model_validate_json(line.raw)
    except ValidationError as error:
        raise schema_error(error, place) from None


@contextmanager
def _content(path: Path) -> Iterator[tuple[io.BufferedReader, BinaryIO]]:
    with path.open("rb") as file:
        raw: Any = file
        if path.suffix == ".gz":
            raw = gzip.GzipFile(fileobj=file)
        elif path.suffix == ".zst":
            raw = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file, read_across_frames=True)
        yield io.BufferedReader(cast(Any, raw), buffer_size=HEAD), file


def _read_up_to(content: io.BufferedReader, most: int) -> bytes:
    head = b""
    while len(head) < most and (more := content.read(most - len(head))):
        head += more
    return head


def _skip_line(content: io.BufferedReader, step: int) -> None:
    while (more := content.readline(step)) and not more.endswith(b"\n"):
        pass


def _check_packing(first: bytes, path: Path) -> None:
    for suffix, magic in _MAGIC.items():
        if first.startswith(magic) != (path.suffix == suffix) and (first or path.suffix == suffix):
            said = f"named {path.suffix} but not packed so" if path.suffix == suffix else f"packed as {suffix}"
            raise RiskwireError(
                f"the archive is {said}", where=str(path), do="Name it .gz or .zst as it is packed, else neither"
            )


def _check_lines(head: bytes, path: Path) -> None:
    """One bad line goes to the dead letters; a file of which no line could be one is no archive."""
    lines = [line for line in head.split(b"\n") if line.strip()][:_LOOKED_AT]
    if lines and (b"\0" in head[:1_024] or not any(line.lstrip(b"\xef\xbb\xbf \t").startswith(b"{") for line in lines)):
        raise RiskwireError(
            "the archive is not JSON lines", value=lines[0][:80], where=str(path), do='Each line is {"published_at": …}'
        )
