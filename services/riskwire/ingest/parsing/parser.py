"""Runs the parser process, and sends documents to it.

A hostile document can make an XML or HTML parser use minutes and gigabytes: feedparser takes two minutes for one start
tag with 100,000 attributes. A thread could not be stopped. A process can be killed, and its memory can be limited.

Protocol: each message in both directions is a length of four bytes and then the content. A request is two messages,
the `ParseRequest` as JSON and the bytes of the document; the answer is one message (`parser_process.answer`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from types import TracebackType

from riskwire.errors import FeedError
from riskwire.ingest.fetching.fetch import FetchedDocument
from riskwire.ingest.parsing.items import ParseResult
from riskwire.ingest.parsing.parser_process import ParseRequest, parse_answer, to_message
from riskwire.records import Feed
from riskwire.settings import IngestSettings

START_TIMEOUT_S = 60.0
_ENVIRONMENT = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
"""Environment variables that the process gets. It needs no secrets."""


class DocumentParser:
    """Parses documents one at a time in a separate process; an async context manager.

    The process is started with the first document, and again after it was killed.
    """

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> DocumentParser:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._kill()

    async def parse(self, feed: Feed, document: FetchedDocument) -> ParseResult:
        """Returns the items of a document, which is parsed in the parser process, one document at a time.

        The process is killed after a timeout, an error or a cancellation; the next document starts a new one.

        Args:
            feed: the feed of the document; its id and format are part of the request.

        Raises:
            FeedError: the document is not a feed, or needs more time or memory than the settings allow; or the parser
                process does not start.
        """
        request = ParseRequest(
            source=feed.id,
            feed_format=feed.format,
            url=document.url,
            content_type=document.content_type,
            max_entries=self._settings.max_entries,
            max_text=self._settings.max_text,
            max_bytes=self._settings.max_bytes,
            min_confidence=self._settings.min_language_confidence,
        )
        async with self._lock:
            try:
                process = await self._running_process()
                async with asyncio.timeout(self._settings.read_timeout_s):
                    await _send(process, request, document.body)
                    answer = await _receive(process)
            except TimeoutError:
                await self._kill()
                raise FeedError(
                    f"the document could not be parsed within {self._settings.read_timeout_s:g} s", where=document.url
                ) from None
            except (EOFError, OSError):
                await self._kill()
                raise FeedError("the parser process died while it parsed the document", where=document.url) from None
            except BaseException:
                # After a cancellation the pipe may hold half a request, or an answer that nothing waits for.
                await self._kill()
                raise
        return await asyncio.to_thread(parse_answer, answer, document.url)

    async def _running_process(self) -> asyncio.subprocess.Process:
        """Returns the parser process. Starts it if it does not run, and waits until it is ready.

        It is separate from riskwire, because parsing the document of a stranger may take too much memory or time. It
        gets only the environment variables that it needs.

        Raises:
            FeedError: the process does not start.
        """
        if self._process is None or self._process.returncode is not None:
            environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "riskwire.ingest.parsing.parser_process", str(self._settings.read_memory_mb)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C must reach riskwire only; this process ends when its input is closed
            )
            try:
                # Imports and the language model must not use up the time of the document.
                async with asyncio.timeout(START_TIMEOUT_S):
                    await _receive(self._process)
            except (EOFError, TimeoutError):
                raise FeedError(
                    "the parser process does not start",
                    do="See its messages on standard error; perhaps ingest.read_memory_mb is too small",
                ) from None
        return self._process

    async def _kill(self) -> None:
        """Kills the parser process, if there is one, and waits for its end. The next document starts a new one."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


async def _send(process: asyncio.subprocess.Process, request: ParseRequest, body: bytes) -> None:
    """Writes a request and the document to the parser process, each with its length in four bytes before it."""
    assert process.stdin is not None
    process.stdin.write(to_message(request.to_bytes()) + len(body).to_bytes(4, "big"))
    process.stdin.write(body)
    await process.stdin.drain()


async def _receive(process: asyncio.subprocess.Process) -> bytes:
    """Returns the next answer of the parser process.

    Raises:
        EOFError: the process has ended.
    """
    assert process.stdout is not None
    length = int.from_bytes(await process.stdout.readexactly(4), "big")
    return await process.stdout.readexactly(length)
