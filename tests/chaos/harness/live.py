"""Live news beside the archive's: ingesters share feeds and are hurt; an infer of their own reads what they bring.

It has topics of its own (`kafka.prefix`): its time is today's, and would carry the archive's clock past all its news.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaException
from feedserver import publishing
from kafka_reader import committed_records

from harness.check import Compared, Record, compare_letters, compare_live, compare_readings, live_lost
from harness.fleet import Fleet
from harness.newsroom import Newsroom
from harness.services import FEEDS, LIVE_PREFIX

WORKERS: Mapping[str, int] = {"ingest": 2, "live": 1}
_JUDGED = ("articles", "analyses", "dead-letters")
_HAPPENS_S = 1.0


@dataclass(slots=True)
class Live:
    """The newsroom, and what must come of its news."""

    newsroom: Newsroom
    client: Mapping[str, str]
    look_s: float = 1.0
    """From one look at the log to the next."""
    _working: asyncio.Task[None] | None = None

    def start(self, fleet: Fleet) -> None:
        """Let it work, and start those who read it."""
        self._working = asyncio.create_task(self.newsroom.work(_HAPPENS_S), name="newsroom")
        for role, count in WORKERS.items():
            for _ in range(count):
                fleet.start(role)

    async def hush(self) -> None:
        """No more news, and no more trouble."""
        self.newsroom.in_order = True
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)

    async def until_all_is_there(self) -> None:
        """Return when all that was published, as it stands now, is on the log of articles."""
        while live_lost(self._final(), await self._readable("articles")):  # noqa: ASYNC110  (the log tells nobody)
            await asyncio.sleep(self.look_s)

    async def until_all_is_readable(self) -> None:
        """Return when no transaction is open any more in what `judge` reads; some of it no stage does."""
        for topic in _JUDGED:
            await self._readable(topic)

    async def judge(self) -> list[Compared]:
        """What is there, beside what must be; for the time when the ingesters are gone and all is read."""
        articles, analyses, letters = [await self._records(topic) for topic in _JUDGED]
        stood = {(page.url, words) for page in self.newsroom.pages for words in page.words}
        return [
            compare_live(self._final(), stood, articles),
            compare_readings(articles, analyses),
            compare_letters(letters),
        ]

    def _final(self) -> dict[str, str]:
        return {page.url: page.words[-1] for page in self.newsroom.pages}

    async def _readable(self, topic: str) -> list[Record]:
        """The records of a topic, once they can be read: what Kafka has left hanging the operator aborts first."""
        while True:
            with suppress(AssertionError, KafkaException):
                return await self._records(topic)
            await asyncio.sleep(self.look_s)

    async def _records(self, topic: str) -> list[Record]:
        found = await asyncio.to_thread(committed_records, self.client, f"{LIVE_PREFIX}{topic}")
        records = [json.loads(one.value or b"{}") for one in found]
        return [record for record in records if record.get("kind", "article") == "article"]


async def gone(fleet: Fleet) -> None:
    """Tell the ingesters to stop, and wait until they have: the log of articles then has an end."""
    async with asyncio.TaskGroup() as group:
        for worker in fleet.of("ingest"):
            group.create_task(fleet.remove(worker))


@asynccontextmanager
async def live_news(
    feeds: int, chance: random.Random, folder: Path, client: Mapping[str, str]
) -> AsyncIterator[Live | None]:
    """A newsroom with so many feeds, listed in `folder`; None where there are to be none."""
    if not feeds:
        yield None
        return
    with publishing(partial(Newsroom, feeds, chance)) as newsroom:
        newsroom.write_list(folder / FEEDS)
        live = Live(newsroom, client)
        try:
            yield live
        finally:
            await live.hush()
