"""The real web server over a store, with a made-up rest of the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import fictional

from riskwire.pipeline import Topic
from riskwire.records import Command, Record, ScoreRequest, ScoreResult
from riskwire.settings import Settings
from riskwire.store import Store, sink_stages
from riskwire.web import AppServices, BusState, Readiness, create_app, serve


@dataclass
class Process:
    """The rest of a process, as the web sees it: it scores, takes commands and is ready or not."""

    store: Store
    commands: list[Command] = field(default_factory=list)
    readiness: Readiness = field(default_factory=Readiness)

    async def score(self, texts: Sequence[ScoreRequest]) -> list[ScoreResult]:
        """Everything is calm."""
        calm = fictional.mood(0.1)
        return [
            ScoreResult(id=text.id, sentiment=calm, sentences=(), mentions=(), targets=(), topics=()) for text in texts
        ]

    async def publish(self, command: Command) -> None:
        """Straight to the store, as the bus and the sink do."""
        self.commands.append(command)
        await self.store.write_off_loop(self.store.write_commands, [command])

    async def bus(self) -> BusState:
        """Something to show."""
        return BusState({"articles": 12}, {"infer": 3})

    def services(self) -> AppServices:
        """This process as the web is given it."""
        return AppServices(
            score=self.score,
            publish_command=self.publish,
            ready=lambda: self.readiness,
            bus=self.bus,
            bundle="fictional@1",
        )


@asynccontextmanager
async def running(settings: Settings, store: Store, services: AppServices) -> AsyncIterator[str]:
    """The server on its port (0: a free one); gives its URL."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(create_app(settings, store, services), settings, url.set_result))
    await asyncio.wait([server, url], timeout=20, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        server.result()
    try:
        yield url.result()
    finally:
        server.cancel()
        await asyncio.wait([server], timeout=20)


async def sink(store: Store, records: dict[Topic, list[Record]]) -> None:
    """Put records into a store by way of the sink."""
    for stage in sink_stages(store):
        if some := records.get(stage.spec.reads):
            await stage.open(0, {}).process(fictional.messages(stage.spec.reads, some))
