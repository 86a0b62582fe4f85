"""The real web server for a store, with a fake for the rest of the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import fictional

from riskwire.errors import NotifyError
from riskwire.pipeline import Topic
from riskwire.records import Command, Record, ScoreRequest, ScoreResult
from riskwire.settings import Settings
from riskwire.store import AlertRow, Store, sink_stages
from riskwire.web import AppServices, BusState, Readiness, SilenceRow, create_app, serve


@dataclass
class FakeProcess:
    """The rest of the process: it scores texts, stores commands and has a given readiness.

    Attributes:
        commands: the commands that were published.
        silences: what Alertmanager has, or the error with which it cannot be read.
    """

    store: Store
    commands: list[Command] = field(default_factory=list)
    readiness: Readiness = field(default_factory=Readiness)
    silences: Sequence[SilenceRow] | NotifyError = ()

    async def score(self, texts: Sequence[ScoreRequest]) -> list[ScoreResult]:
        """Scores every text as calm."""
        calm = fictional.mood(0.1)
        return [
            ScoreResult(id=text.id, sentiment=calm, sentences=(), mentions=(), targets=(), topics=()) for text in texts
        ]

    async def publish(self, command: Command) -> None:
        """Writes a decision to the store at once, as bus and sink do later. None was in force before."""
        self.commands.append(command)
        await self.store.write_off_loop(self.store.write_commands, [command])

    async def read_silences(self, alerts: Sequence[AlertRow]) -> list[SilenceRow]:
        """Returns the silences, whatever they cover."""
        if isinstance(self.silences, NotifyError):
            raise self.silences
        return list(self.silences)

    async def bus(self) -> BusState:
        """Returns a fixed state of the bus."""
        return BusState({"articles": 12}, {"infer": 3})

    def services(self) -> AppServices:
        """Returns the services of this process for the web server."""
        return AppServices(
            score=self.score,
            publish_command=self.publish,
            ready=lambda: self.readiness,
            bus=self.bus,
            silences=self.read_silences,
            bundle="fictional@1",
        )


@asynccontextmanager
async def running_server(settings: Settings, store: Store, services: AppServices) -> AsyncIterator[str]:
    """Runs the server on its port (0: a free one), and yields its URL. Stops it at the end.

    Raises the error of the server if it stops before it listens.
    """
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


async def write_with_sink(store: Store, records_by_topic: dict[Topic, list[Record]]) -> None:
    """Writes records into a store through the sink stages, those of a topic as one batch."""
    for stage in sink_stages(store):
        if records := records_by_topic.get(stage.spec.reads):
            await stage.open(0, {}).process(fictional.messages(stage.spec.reads, records))
