"""The signals and marks of an archive, in a file that the alert stage can read repeatedly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest, sha256
from pathlib import Path

import zstandard

import riskwire
from riskwire.errors import RiskwireError
from riskwire.records import SIGNALS, Mark, Record, Signal, Utc, read_record

_ROOMS = ("entities", "inference", "ingest", "records", "story", "weights.py", "worst_mention.py")
"""The rooms that decide which signals an archive gives."""
_DATA = {".py", ".tsv", ".txt", ".gz", ".json", ".yaml"}


class SignalLogSummary(Record):
    """What a log holds; the file beside it, written last, so that a log without it is not whole.

    Attributes:
        lines: by id of an article, the number of its line in the archive, from 0.
        first: the time of the first article.
        last: the time of the last article.
        bundle: name and version of the bundle.
        read: sentences that the model read for this log, which no earlier run had read.
        unsupported: lines that the model did not read because of their language.
    """

    lines: dict[str, int]
    first: Utc
    last: Utc
    bundle: str
    read: int
    unsupported: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SignalLog:
    """The signals and marks of an archive, in the order in which the infer stage published them."""

    path: Path
    summary: SignalLogSummary
    archive_sha256: str
    """The SHA-256 of the archive, in hexadecimal."""

    @property
    def months(self) -> float:
        """The length of the archive in months of 30 days, at least a day."""
        return max((self.summary.last - self.summary.first).total_seconds() / 86_400, 1.0) / 30

    def records(self) -> Iterator[Signal | Mark]:
        """Yields the records in order.

        Raises:
            RiskwireError: the file has gone, or is damaged.
        """
        try:
            with self.path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
                unfinished = b""
                number = 0
                while block := stream.read(1 << 20):
                    *lines, unfinished = (unfinished + block).split(b"\n")
                    for line in lines:
                        yield read_record(SIGNALS, line, f"{self.path}, line {number}")
                        number += 1
        except (OSError, zstandard.ZstdError) as error:
            raise RiskwireError("the signals of the back-test cannot be read", where=str(self.path)) from error


def log_path(folder: Path, archive_sha256: str, decides: Iterable[str]) -> Path:
    """Returns the path of the log of an archive: another one if its content, the code or anything in `decides` changes.

    Args:
        archive_sha256: the SHA-256 of the archive, in hexadecimal.
    """
    digest = sha256(code_id(_ROOMS).encode())
    for part in decides:
        digest.update(f"{part}\0".encode("utf-8", "surrogatepass"))
    digest.update(archive_sha256.encode())
    return folder / f"signals-{digest.hexdigest()[:20]}.jsonl.zst"


def hash_archive(path: Path) -> str:
    """Returns the SHA-256 of an archive, in hexadecimal.

    Raises:
        RiskwireError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RiskwireError("the archive cannot be read", where=str(path)) from error


def code_id(rooms: Iterable[str]) -> str:
    """Returns a hash of the code and the tables of some rooms of riskwire."""
    root = Path(riskwire.__file__).parent
    digest = sha256()
    for room in rooms:
        place = root / room if (root / room).exists() else root / f"{room}.py"
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.suffix in _DATA and path.is_file():
                digest.update(f"{path.relative_to(root)}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def stored_log(path: Path, archive_sha256: str) -> SignalLog | None:
    """Returns the log in a file; None if the file is missing or incomplete."""
    try:
        summary = SignalLogSummary.model_validate_json(_summary_path(path).read_bytes())
    except (OSError, ValueError):
        return None
    return SignalLog(path, summary, archive_sha256) if path.exists() else None


async def store_log(path: Path, records: AsyncIterator[Iterable[bytes]], summary: SignalLogDraft) -> None:
    """Writes a log and then its summary.

    Args:
        records: the records in order, in batches; while they are made, `summary` is filled in.

    Raises:
        RiskwireError: the log cannot be written, or the archive has no article.
    """
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file, zstandard.ZstdCompressor(level=3).stream_writer(file) as stream:
            async for batch in records:
                stream.write(b"".join(record + b"\n" for record in batch))
        _summary_path(path).unlink(missing_ok=True)
        part.replace(path)
        _summary_path(path).write_bytes(summary.done().to_bytes())
    except OSError as error:
        raise RiskwireError(
            "the signals of the back-test cannot be written", where=str(path), do="Name another folder with --cache"
        ) from error
    finally:
        part.unlink(missing_ok=True)


class SignalLogDraft:
    """A summary that is filled in while the log is written."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.unsupported: list[int] = []
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.bundle = ""
        self.read = 0

    def add(self, article: str, line: int, seen_at: datetime) -> None:
        """Notes an article; further versions of it keep its first line."""
        self.lines.setdefault(article, line)
        self.first = self.first or seen_at
        self.last = seen_at

    def done(self) -> SignalLogSummary:
        """Returns the summary.

        Raises:
            RiskwireError: there was no article.
        """
        if self.first is None or self.last is None:
            raise RiskwireError("the archive has no article that can be read")
        return SignalLogSummary(
            lines=self.lines,
            first=self.first,
            last=self.last,
            bundle=self.bundle,
            read=self.read,
            unsupported=tuple(self.unsupported),
        )


def _summary_path(path: Path) -> Path:
    return path.with_name(path.name.partition(".")[0] + ".summary.json")
