"""The program of the reader process (`python -m riskwire.ingest.parsing.reader_process MEGABYTES`)."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from typing import BinaryIO

from riskwire.errors import FeedError
from riskwire.ingest.parsing.documents import Limits
from riskwire.ingest.parsing.items import read_document
from riskwire.ingest.parsing.language import detect
from riskwire.records import Record


class Request(Record):
    """How to read the document that follows."""

    source: str
    form: str
    url: str
    content_type: str
    entries: int
    text: int
    most: int
    min_confidence: float


class Failure(Record):
    """Why a document could not be read; `!` stands before it on the pipe."""

    what: str
    value: str | None = None
    do: str = ""


def answer_to(request: Request, body: bytes) -> bytes:
    """The reading of a document, or a failure, as they stand on the pipe."""
    limits = Limits(request.entries, request.text, request.most)
    try:
        reading = read_document(
            body,
            request.content_type,
            request.url,
            source=request.source,
            form=request.form,
            limits=limits,
            min_confidence=request.min_confidence,
        )
    except FeedError as error:
        cause = f": {type(error.__cause__).__name__}: {error.__cause__}"[:300] if error.__cause__ else ""
        value = None if error.value is None else str(error.value)[:200]
        return b"!" + Failure(what=error.what + cause, value=value, do=error.do).to_bytes()
    except MemoryError:
        return b"!" + Failure(what="the document takes more memory than ingest.read_memory_mb allows").to_bytes()
    except Exception as error:  # noqa: BLE001 - whatever a document provokes, the next one is read
        return b"!" + Failure(what=f"the document cannot be read: {type(error).__name__}: {error}"[:500]).to_bytes()
    return reading.to_bytes()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests until the source ends."""
    while (head := _framed(source)) is not None:
        body = _framed(source)
        if body is None:
            return
        _send(sink, answer_to(Request.model_validate_json(head), body))


def _framed(source: BinaryIO) -> bytes | None:
    length = source.read(4)
    if len(length) < 4:
        return None
    content = source.read(int.from_bytes(length, "big"))
    return content if len(content) == int.from_bytes(length, "big") else None


def _send(sink: BinaryIO, content: bytes) -> None:
    sink.write(len(content).to_bytes(4, "big") + content)
    sink.flush()


def _confine(megabytes: int) -> None:
    """No more memory than allowed, no files written, no core dumps."""
    for limit, value in (
        (resource.RLIMIT_AS, megabytes * 1_000_000),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # not every system lets each be set
            resource.setrlimit(limit, (value, value))


def main() -> None:
    """Serve on standard input and output."""
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not end up between the answers
    detect("ready", "")
    _confine(int(sys.argv[1]))
    _send(sink, b"ready")
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
