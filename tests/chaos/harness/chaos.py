"""One run from beginning to end: archive, calm run, cluster, workers, faults, drained, compared."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from broker import Broker, Hanging
from confluent_kafka import KafkaException

from harness.archive import digest_of, span_of, write_archive
from harness.calm import calm_data, ended_well
from harness.check import Compared
from harness.cluster import Observer, proxied_broker
from harness.fleet import LEASH, Fleet
from harness.judgement import compared_notifications, compared_store, compared_topics, garbage_of, records_of
from harness.live import Live, gone, live_news
from harness.oversight import Operator, beside
from harness.plan import KINDS, Fault, Kind, faults
from harness.proxy import Proxy
from harness.receiver import Receiver
from harness.services import (
    ARCHIVE,
    DATA,
    DEADLINE_S,
    GROUPS,
    LIVE_PREFIX,
    SESSION_S,
    Commands,
    ingesting,
    notifying,
    on_kafka,
    plain,
    riskwire,
)
from harness.snapshot import Snapshot
from harness.strikes import Strikes
from harness.testimony import Testimony, heard

if TYPE_CHECKING:
    from riskwire.bus.kafka.bus import KafkaBus

_AT_ONCE = 3
_SPARE = 1.3
"""The news is spread over this much more time than the faults that are left should take."""
_CALM_S = 3_600.0
_CREATE_S = 120.0
_LOOK_S = 0.5
_KEEPER = "the keeper of the workers"

WORKERS: Mapping[str, int] = {"infer": 2, "alert": 2, "sink": 2, "notify": 2}
FEWER: Mapping[str, int] = {"infer": 2, "alert": 2, "sink": 1, "notify": 1}
"""Where it is known who makes the mistake that is to be caught."""

Said = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is to be."""

    seed: int
    articles: int
    faults: int
    every_s: float
    partitions: int
    folder: Path
    drain_s: float = 300.0
    broken: str | None = None
    feeds: int = 6
    """Polled by ingesters meanwhile; 0: no live news."""
    kinds: tuple[Kind, ...] = KINDS
    workers: Mapping[str, int] = field(default_factory=lambda: WORKERS)


@dataclass(slots=True)
class Outcome:
    """What a run brought."""

    compared: list[Compared] = field(default_factory=list)
    store: list[str] = field(default_factory=list)
    store_checked: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    while_flowing: int = 0
    exits: dict[str, int] = field(default_factory=dict)
    fenced: dict[str, int] = field(default_factory=dict)
    unstoppable: int = 0
    """Workers that did not stop when told."""
    unkept: str = ""
    """What the keeper of the workers failed of."""
    drained: bool = False
    behind: str = ""
    aborted: list[Hanging] = field(default_factory=list)
    """What Kafka itself had left hanging, and the operator has aborted."""
    arrived: int = 0
    said: Testimony = field(default_factory=Testimony)
    wall_s: float = 0.0
    processor_s: float = 0.0
    """Of all processes that the run started, the calm run's too."""
    faults_s: float = 0.0
    drain_s: float = 0.0
    added: tuple[int, int] = (0, 0)


class Run:
    """A run; `run` does it, and leaves no process behind whatever happens."""

    def __init__(self, options: Options, code: Snapshot, say: Said) -> None:
        self._options = options
        self._code = code
        self._say = say
        self._chance = random.Random(options.seed)
        self._archive = options.folder / ARCHIVE
        self._data = options.folder / DATA
        self._logs = options.folder / "logs"
        self._outcome = Outcome()
        self._speed = 1.0

    async def run(self) -> Outcome:
        """Do all of it; an AssertionError, in a group, says why the cluster or the calm run cannot be had."""
        from riskwire.demo import corpus_path, watchlist_path

        began = time.monotonic()
        options = self._options
        self._logs.mkdir(parents=True)
        self._data.mkdir()
        self._watchlist = watchlist_path()
        write_archive(self._archive, options.articles, options.seed, corpus_path(), self._watchlist)
        async with AsyncExitStack() as stack:
            proxy = Proxy(random.Random(options.seed))
            stack.push_async_callback(proxy.close)
            await proxy.listen()
            broker, behind = proxied_broker(options.folder / "kafka", proxy.port, LEASH)
            proxy.pass_on_to(behind)
            stack.callback(broker.kill)
            receiver = Receiver(random.Random(options.seed))
            stack.push_async_callback(receiver.close)
            await receiver.listen()
            live = await stack.enter_async_context(
                live_news(options.feeds, random.Random(options.seed), options.folder, broker.client)
            )
            commands = Commands(options.folder, self._watchlist, options.broken, self._pace)
            settings = on_kafka(f"kafka://127.0.0.1:{proxy.port}", options.partitions)
            settings |= notifying(receiver.url) | ingesting()
            fleet = Fleet(commands, plain(self._code) | settings, self._logs, self._say, "replay")
            stack.callback(fleet.end)
            async with asyncio.TaskGroup() as group:
                calm_run = group.create_task(self._calm())
                group.create_task(self._begin(broker))
            quiet = calm_run.result()
            observer = Observer(broker.client)
            strikes = Strikes(fleet, broker, proxy, observer, SESSION_S, DEADLINE_S, self._say, live is not None)
            await self._disturbed(fleet, strikes, live)
            await self._judged(quiet, broker, observer, receiver, live)
            self._outcome.fenced = dict(proxy.fenced)
        # From here on the fleet has ended: who left while all was judged is among them.
        self._outcome.exits = dict(sorted(fleet.exits.items()))
        self._outcome.unstoppable = fleet.unstoppable
        logs = sorted(self._logs.glob("*.log"))
        said = ((log.name, log.read_text(encoding="utf-8", errors="replace")) for log in logs)
        self._outcome.said = heard(said, fleet.departures)
        self._outcome.wall_s = time.monotonic() - began
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._outcome.processor_s = spent.ru_utime + spent.ru_stime
        return self._outcome

    # Before

    async def _calm(self) -> Path:
        name = f"{digest_of(self._archive)}-{self._code.digest}"
        self._say("the calm run")
        command = riskwire("replay", str(self._archive), "--watchlist", str(self._watchlist))
        environment = plain(self._code) | {"RISKWIRE_BUS__KEEP_PROCESSED": "100000000"}
        return await calm_data(name, command, environment, _CALM_S)

    async def _begin(self, broker: Broker) -> None:
        self._say("the broker")
        await asyncio.to_thread(broker.format)
        await asyncio.to_thread(broker.start)
        environment = plain(self._code) | on_kafka(broker.url, self._options.partitions)
        async with asyncio.TaskGroup() as group:
            for prefix in ("", LIVE_PREFIX) if self._options.feeds else ("",):
                with_prefix = environment | {"RISKWIRE_KAFKA__PREFIX": prefix}
                group.create_task(ended_well(riskwire("topics", "create"), with_prefix, _CREATE_S))

    # Meanwhile

    def _pace(self) -> str:
        return "max" if self._speed == float("inf") else f"{self._speed:.3f}"

    async def _disturbed(self, fleet: Fleet, strikes: Strikes, live: Live | None) -> None:
        """Let the news flow through the workers, do the faults, let all of it settle."""
        options = self._options
        plan = list(faults(options.faults, options.every_s, self._chance, options.kinds))
        for role, count in options.workers.items():
            for _ in range(count):
                fleet.start(role)
        if live is not None:
            live.start(fleet)
        begin, end = span_of(self._archive)
        self._speed = (end - begin).total_seconds() / (self._planned_s(plan) * _SPARE)
        fleet.start("replay")
        operator = Operator(strikes.broker, strikes.at_broker, self._say)
        async with beside({_KEEPER: fleet.keep(), "the operator": operator.work()}, self._say) as failed:
            self._say("the workers")
            await self._until_they_work(strikes.observer, begin)
            started = time.monotonic()
            await self._faults(plan, fleet, strikes, begin, end)
            self._outcome.faults_s = time.monotonic() - started
            strikes.proxy.heal()
            if live is not None:
                await live.hush()
            self._say("all faults are done; the rest of the news as fast as it is read")
            settling = time.monotonic()
            self._speed = float("inf")
            for worker in fleet.of("replay"):
                fleet.kill(worker.pid)
            await self._until_all_is_read(fleet, strikes.broker, live)
            self._outcome.drain_s = time.monotonic() - settling
        self._outcome.unkept = failed.get(_KEEPER, "")
        self._outcome.aborted = operator.aborted
        self._outcome.faults = dict(strikes.done)
        self._outcome.missed = strikes.missed

    def _planned_s(self, plan: list[Fault]) -> float:
        return sum(fault.after_s for fault in plan) + 5.0

    async def _until_they_work(self, observer: Observer, begin: datetime) -> None:
        async with asyncio.timeout(120):
            while True:
                newest = await asyncio.to_thread(observer.newest)
                if newest is not None:
                    return
                await asyncio.sleep(_LOOK_S)

    async def _faults(self, plan: list[Fault], fleet: Fleet, strikes: Strikes, begin: datetime, end: datetime) -> None:
        room = asyncio.Semaphore(_AT_ONCE)
        started, spent = time.monotonic(), 0.0

        async def one(fault: Fault) -> None:
            try:
                await strikes.strike(fault)
            finally:
                room.release()

        async with asyncio.TaskGroup() as group:
            for fault in plan:
                await asyncio.sleep(fault.after_s)
                await room.acquire()
                spent += fault.after_s
                self._outcome.while_flowing += not fleet.finished.is_set()
                left = self._planned_s(plan) - spent
                slower = max(1.0, (time.monotonic() - started) / spent)
                group.create_task(self._repace(strikes.observer, begin, end, left * slower))
                group.create_task(one(fault))

    async def _repace(self, observer: Observer, begin: datetime, end: datetime, left_s: float) -> None:
        """The speed at which a replayer that is started from now on spreads what is left over the time left."""
        try:
            newest = await asyncio.to_thread(observer.newest)
        except KafkaException:  # the broker is away: the next fault looks again
            return
        if newest is not None:
            self._speed = max(1.0, (end - max(newest, begin)).total_seconds()) / max(5.0, left_s * _SPARE)

    # Afterwards

    async def _until_all_is_read(self, fleet: Fleet, broker: Broker, live: Live | None) -> None:
        try:
            async with asyncio.timeout(self._options.drain_s):
                await fleet.finished.wait()
                self._say("the news is published; waiting until it is read")
                await self._until_drained(broker, "", GROUPS)
                if live is not None:
                    self._outcome.behind = "live news: not all of it is published"
                    await live.until_all_is_there()
                    self._say("live news is published; the ingesters go")
                    await gone(fleet)
                    self._outcome.behind = "live news: infer"
                    await self._until_drained(broker, LIVE_PREFIX, ("infer",))
                    self._outcome.behind = "live news: not all that infer wrote becomes readable"
                    await live.until_all_is_readable()
                self._outcome.drained = True
        except TimeoutError:
            if not self._outcome.behind:
                self._outcome.behind = "the stages" if fleet.finished.is_set() else "the replay has not ended"

    async def _until_drained(self, broker: Broker, prefix: str, groups: Sequence[str]) -> None:
        from riskwire.bus.drain import wait_until_drained
        from riskwire.errors import RiskwireError

        while True:
            with suppress(RiskwireError):  # a machine so busy that the cluster does not answer in time
                async with self._bus(broker, prefix) as bus:
                    await wait_until_drained(bus, groups)
                    return

    @asynccontextmanager
    async def _bus(self, broker: Broker, prefix: str) -> AsyncIterator[KafkaBus]:
        from riskwire.bus.kafka.bus import KafkaBus
        from riskwire.settings import BusSettings, KafkaSettings

        kafka = KafkaSettings(partitions=self._options.partitions, prefix=prefix)
        bus = await KafkaBus.open(BusSettings(url=broker.url), kafka)
        try:
            yield bus
        finally:
            await bus.close()

    async def _judged(
        self, quiet: Path, broker: Broker, observer: Observer, receiver: Receiver, live: Live | None
    ) -> None:
        if self._outcome.drained:
            await self._judge(quiet, broker, observer, receiver, live)
            return
        try:
            await self._judge(quiet, broker, observer, receiver, live)
        except (AssertionError, KafkaException) as error:
            self._say(f"what is there cannot be read: {error}")

    async def _judge(
        self, quiet: Path, broker: Broker, observer: Observer, receiver: Receiver, live: Live | None
    ) -> None:
        outcome = self._outcome
        garbage = len(garbage_of(observer))
        outcome.added = (observer.added.total() - garbage, garbage)
        outcome.compared = await compared_topics(quiet, broker.client, observer)
        alerts = await records_of(broker.client, "alerts")
        outcome.compared.append(await compared_notifications(alerts, receiver))
        outcome.arrived = receiver.arrived.total()
        if live is not None:
            outcome.compared += await live.judge()
        outcome.store_checked, outcome.store = await compared_store(quiet, self._data)
