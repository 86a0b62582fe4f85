"""The program of the parser process: `python -m riskwire.ingest.parsing.parser_process MEGABYTES`.

Its first message says that it is ready. Then it answers the requests on standard input, as `parser.py` describes.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from typing import BinaryIO

from riskwire.errors import FeedError
from riskwire.ingest.parsing.formats import Limits
from riskwire.ingest.parsing.items import ParseResult, parse_document
from riskwire.ingest.parsing.language import load
from riskwire.records import Record

_READY = b"ready"
_FAILURE = b"!"
"""The first byte of an answer that is a `ParseFailure`."""
_MAX_CAUSE = 300
_MAX_VALUE = 200
_MAX_WHAT = 500


class ParseRequest(Record):
    """How to parse the document that follows."""

    source: str
    feed_format: str
    url: str
    content_type: str
    max_entries: int
    max_text: int
    max_bytes: int
    min_confidence: float


class ParseFailure(Record):
    """Why a document could not be parsed: the parts of a `FeedError`."""

    what: str
    value: str | None = None
    do: str = ""


def answer(request: ParseRequest, body: bytes) -> bytes:
    """Returns the answer to a request: a `ParseResult` as JSON, or `!` and a `ParseFailure` for any error.

    Args:
        body: the bytes of the document.
    """
    limits = Limits(request.max_entries, request.max_text, request.max_bytes)
    try:
        result = parse_document(
            body,
            request.content_type,
            request.url,
            source=request.source,
            feed_format=request.feed_format,
            limits=limits,
            min_confidence=request.min_confidence,
        )
    except FeedError as error:
        cause = f": {type(error.__cause__).__name__}: {error.__cause__}"[:_MAX_CAUSE] if error.__cause__ else ""
        value = None if error.value is None else str(error.value)[:_MAX_VALUE]
        failure = ParseFailure(what=error.what + cause, value=value, do=error.do)
    except MemoryError:
        failure = ParseFailure(what="the document needs more memory than ingest.read_memory_mb allows")
    except Exception as error:  # noqa: BLE001 - an error of one document must not end the process
        failure = ParseFailure(what=f"the document cannot be parsed: {type(error).__name__}: {error}"[:_MAX_WHAT])
    else:
        return result.to_bytes()
    return _FAILURE + failure.to_bytes()


def parse_answer(content: bytes, url: str) -> ParseResult:
    """Returns the result in an answer.

    Args:
        url: the address of the document, for the error.

    Raises:
        FeedError: the answer is a failure.
    """
    if content.startswith(_FAILURE):
        failure = ParseFailure.model_validate_json(content.removeprefix(_FAILURE))
        raise FeedError(failure.what, value=failure.value, where=url, do=failure.do)
    return ParseResult.model_validate_json(content)


def to_message(content: bytes) -> bytes:
    """Returns a message of the protocol: the length of the content in four bytes, and the content."""
    return len(content).to_bytes(4, "big") + content


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until their stream ends.

    A request is two messages: the `ParseRequest` as JSON and the bytes of the document. The answer is one message.
    """
    while (header := _read_message(requests)) is not None:
        body = _read_message(requests)
        if body is None:
            return
        _write_message(answers, answer(ParseRequest.model_validate_json(header), body))


def _read_message(stream: BinaryIO) -> bytes | None:
    """Returns the next message of a stream, which has its length in four bytes before it.

    Returns None at the end of input, also in the middle of a message.
    """
    length = stream.read(4)
    if len(length) < 4:
        return None
    content = stream.read(int.from_bytes(length, "big"))
    return content if len(content) == int.from_bytes(length, "big") else None


def _write_message(stream: BinaryIO, content: bytes) -> None:
    stream.write(to_message(content))
    stream.flush()


def _limit_resources(megabytes: int) -> None:
    """Limits the memory (address space) of this process, and forbids it to write files and core dumps.

    Args:
        megabytes: the limit in units of 1,000,000 bytes.
    """
    for limit, value in (
        (resource.RLIMIT_AS, megabytes * 1_000_000),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # some systems do not support every limit
            resource.setrlimit(limit, (value, value))


def main() -> None:
    """Runs the parser process: answers requests on standard input with results on standard output, until input ends.

    Its first message says that it is ready. The argument of the command is its limit of memory in megabytes.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the output of a stray print must not get between the answers
    load()  # before the memory is limited and no file may be written
    _limit_resources(int(sys.argv[1]))
    _write_message(answers, _READY)
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
