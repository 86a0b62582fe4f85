"""Checks archives and reads their lines as a stream: JSON lines, CSV or Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from riskwire.errors import RiskwireError, SchemaError
from riskwire.ingest.dates.order import day_first_in
from riskwire.ingest.replay.archive_item import MAX_VALUE, ArchiveItem, ArchiveLine, ItemReader
from riskwire.ingest.replay.content import BUFFER, DAMAGE_ERRORS, check_compression, open_content, read_beginning
from riskwire.ingest.replay.formats import ArchiveFormat, detect_format, read_first_lines, read_lines
from riskwire.records import content_id

PROBED_LINES = 1_000
"""Lines of which one must be readable; they also show the order of day and month."""
_MAX_NAMES = 20
"""Field names in an error."""
_MAX_LINE = 1_000_000
PROBED_BYTES = 1_000_000
"""Bytes of the decompressed content in which the probed lines are."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that `open_archive` has checked.

    Attributes:
        identity: a hash of the beginning of the decompressed content. It is the same after the file was moved, renamed
            or compressed differently.
        size: bytes of the file.
        reader: reads the items of its lines.
    """

    path: Path
    identity: str
    size: int
    format: ArchiveFormat
    reader: ItemReader

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
            for line in read_lines(self.path, self.format, max_line, stopped):
                number = line.number
                yield line
        except (OSError, *DAMAGE_ERRORS) as error:
            raise RiskwireError(
                f"the archive is damaged or truncated after line {number}", where=str(self.path)
            ) from error


def open_archive(path: Path, names: Mapping[str, str] | None = None, max_line: int = _MAX_LINE) -> Archive:
    """Checks a file, and returns it as an archive, with a reader of its items.

    Args:
        names: for fields of an item the name that the archive uses (`names_of`).
        max_line: the most bytes of a line.

    Raises:
        RiskwireError: the file is missing, is not an archive, or it is empty, or none of its first lines can be
            read. The message says what was found instead.
    """
    try:
        check_compression(path)
        with open_content(path) as (content, _):
            beginning, is_whole = read_beginning(content, PROBED_BYTES + max_line)
        size = path.stat().st_size
    except (OSError, *DAMAGE_ERRORS) as error:
        raise RiskwireError("the archive cannot be read", where=str(path)) from error
    archive_format = detect_format(path, beginning[:BUFFER])
    whole_lines = beginning if is_whole else beginning[: beginning.rfind(b"\n") + 1]
    lines = read_first_lines(path, whole_lines, archive_format, max_line, PROBED_LINES)
    reader = ItemReader(path.name, names or {})
    reader = replace(reader, day_first=day_first_in(reader.date_text(line) for line in lines))
    if is_whole or any(line.complete for line in lines):
        _check_readable(path, reader, lines)
    identity = content_id("archive", beginning[:BUFFER].decode("latin-1"))
    return Archive(path, identity, size, archive_format, reader)


def _check_readable(path: Path, reader: ItemReader, lines: list[ArchiveLine]) -> None:
    """Checks that the item of at least one line can be read; a bad line among good ones becomes a dead letter.

    Raises:
        RiskwireError: no line can be read. It says what is wrong with the first line, and which fields it has.
    """
    first_error: SchemaError | None = None
    for line in lines:
        try:
            reader.read(line)
        except SchemaError as error:
            first_error = first_error or error
        else:
            return
    if first_error is None:
        raise RiskwireError("the archive is empty", where=str(path))
    names = _names_in(lines[0])
    names_text = f"; its fields are {', '.join(names[:_MAX_NAMES])}" if names else ""
    required = [name for name, info in ArchiveItem.model_fields.items() if info.is_required()]
    raise RiskwireError(
        f"none of the first {len(lines)} lines can be read. {first_error}{names_text}",
        where=str(path),
        do=f"Each line needs {' and '.join(required)}; other field names are given by "
        f"--map {','.join(f'{name}=NAME' for name in required)}.",
    )


def _names_in(line: ArchiveLine) -> list[str]:
    try:
        values = orjson.loads(line.raw)
    except orjson.JSONDecodeError:
        return []
    return [str(name)[:MAX_VALUE] for name in values] if isinstance(values, dict) else []
