"""Opens archives: uncompressed, .gz or .zst."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from riskwire.errors import RiskwireError

BUFFER = 65_536
"""Bytes of the decompressed content that identify an archive."""
DAMAGE_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)
_MAX_WINDOW = 2**27
"""The largest window of a zstd file, which bounds the memory of its decompression."""

COMPRESSED = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
"""Suffixes of compressed files, and how such files begin."""


@contextmanager
def open_content(path: Path) -> Iterator[tuple[io.BufferedReader, BinaryIO]]:
    """Opens an archive. Yields its decompressed content, and the file, whose position shows the progress."""
    with path.open("rb") as file:
        raw: Any = file
        if path.suffix == ".gz":
            raw = gzip.GzipFile(fileobj=file)
        elif path.suffix == ".zst":
            raw = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).stream_reader(file, read_across_frames=True)
        yield io.BufferedReader(cast(Any, raw), buffer_size=BUFFER), file


def read_beginning(content: io.BufferedReader, max_bytes: int) -> tuple[bytes, bool]:
    """Returns the beginning of a content, and whether it is all of it.

    Args:
        max_bytes: the most bytes that are returned. Fewer are returned of an archive that is damaged after `BUFFER`
            bytes; a replay reads it up to the damage.

    Raises:
        OSError, and the other `DAMAGE_ERRORS`: the archive is damaged in its first `BUFFER` bytes.
    """
    data = bytearray()
    while len(data) <= max_bytes:
        try:
            chunk = content.read(BUFFER)
        except (OSError, *DAMAGE_ERRORS):
            if len(data) < BUFFER:
                raise
            return bytes(data), False
        if not chunk:
            return bytes(data), True
        data += chunk
    return bytes(data[:max_bytes]), False


def check_compression(path: Path) -> None:
    """Checks that a file is compressed as its suffix (.gz, .zst) states, by its first bytes.

    Raises:
        RiskwireError: suffix and compression differ.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    for suffix, expected in COMPRESSED.items():
        is_named, is_compressed = path.suffix == suffix, magic.startswith(expected)
        if is_named != is_compressed:
            fault = f"named {suffix} but not compressed as such" if is_named else f"compressed as {suffix}"
            raise RiskwireError(
                f"the archive is {fault}",
                where=str(path),
                do="Name it .gz or .zst according to its compression; without compression use any other suffix",
            )
