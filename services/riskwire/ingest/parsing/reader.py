"""The reader process: hostile documents are parsed apart from everything else.

Parsers of XML and HTML can be made to burn minutes and gigabytes (feedparser takes two minutes over one start tag of
100,000 attributes). A thread could not be stopped; a process can, and its memory has a limit. Messages both ways are a
length of four bytes and JSON; a document follows its request as raw bytes, also with its length before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from types import TracebackType

import structlog

from riskwire.errors import FeedError
from riskwire.ingest.fetching.fetch import Document
from riskwire.ingest.parsing.items import Reading
from riskwire.ingest.parsing.reader_process import Failure, Request
from riskwire.records import Feed
from riskwire.settings import IngestSettings

log = structlog.get_logger(__name__)

START_S = 60.0
_KEPT = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


class Reader:
    """Reads documents, one at a time, in a process that is started when first needed; an async context manager."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Reader:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def read(self, feed: Feed, document: Document) -> Reading:
        """Parse, clean and identify.

        Raises:
            FeedError: the document is not a feed, or takes more time or memory than the settings allow.
        """
        request = Request(
            source=feed.id,
            form=feed.format,
            url=document.url,
            content_type=document.content_type,
            entries=self._settings.max_entries,
            text=self._settings.max_text,
            most=self._settings.max_bytes,
            min_confidence=self._settings.min_language_confidence,
        )
        async with self._turn:
            try:
                process = await self._started()
                async with asyncio.timeout(self._settings.read_timeout_s):
                    answer = await _exchange(process, request, document.body)
            except TimeoutError:
                await self._stop()
                raise FeedError(
                    f"the document could not be read within {self._settings.read_timeout_s:g} s", where=document.url
                ) from None
            except (EOFError, OSError):
                await self._stop()
                raise FeedError("the process that reads documents died over this one", where=document.url) from None
            except BaseException:  # in the middle of an exchange: what is in the pipe belongs to no one
                await self._stop()
                raise
        return await asyncio.to_thread(_reading, answer, document.url)

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "riskwire.ingest.parsing.reader_process", str(self._settings.read_memory_mb)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C is for riskwire; this one ends when its input does
            )
            try:
                async with asyncio.timeout(START_S):  # imports and the language model are not the document's time
                    await _exchange(self._process, None, b"")
            except (EOFError, TimeoutError):
                raise FeedError(
                    "the process that reads documents does not start",
                    do="See what it wrote to standard error; perhaps ingest.read_memory_mb is too small",
                ) from None
        return self._process

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


async def _exchange(process: asyncio.subprocess.Process, request: Request | None, body: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    if request is not None:
        head = request.to_bytes()
        process.stdin.write(len(head).to_bytes(4, "big") + head + len(body).to_bytes(4, "big"))
        process.stdin.write(body)
        await process.stdin.drain()
    length = int.from_bytes(await process.stdout.readexactly(4), "big")
    return await process.stdout.readexactly(length)


def _reading(answer: bytes, url: str) -> Reading:
    if answer.startswith(b"!"):
        failure = Failure.model_validate_json(answer[1:])
        raise FeedError(failure.what, value=failure.value, where=url, do=failure.do)
    return Reading.model_validate_json(answer)
