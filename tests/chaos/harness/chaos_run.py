"""`ChaosRun` does a run from beginning to end: archive, reference run, cluster, workers, faults, comparison."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from broker import Broker, free_ports
from confluent_kafka import KafkaException
from stores.postgresql import PostgresServer

from harness.cluster.observer import Observer, proxied_broker
from harness.cluster.operator import Operator, background_tasks
from harness.cluster.people import DecidingPeople
from harness.cluster.webhook import AlertWebhook
from harness.faults.injector import FaultInjector
from harness.faults.plan import Fault, plan_faults
from harness.faults.proxy import Proxy
from harness.faults.rolling import NEXT_VERSION
from harness.faults.store_faults import StoreFaults
from harness.news.archive import archive_digest, time_span, write_archive
from harness.news.live_news import LiveNews, open_live_news, stop_ingesters
from harness.outcome import RunOptions, RunOutcome
from harness.processes.fleet import DIE_WITH_PARENT, Fleet
from harness.processes.process_logs import summarise_logs
from harness.processes.services import (
    ARCHIVE,
    DATA,
    DEADLINE_S,
    GROUPS,
    LIVE_PREFIX,
    SESSION_S,
    RoleCommands,
    base_environment,
    ingest_settings,
    kafka_settings,
    known_bug_settings,
    next_version,
    notify_settings,
    riskwire_command,
    store_settings,
)
from harness.processes.snapshot import CodeSnapshot
from harness.verdict.final_state import (
    compare_notifications,
    compare_store,
    compare_topics,
    explain_notifications,
    malformed_records,
    read_topic,
)
from harness.verdict.reference_run import reference_data, run_command

if TYPE_CHECKING:
    from riskwire.bus.kafka.bus import KafkaBus

_MAX_CONCURRENT_FAULTS = 3
_RESERVE = 1.3
"""Factor by which the news is spread over more time than the remaining faults should take."""
_REFERENCE_RUN_S = 3_600.0
_CREATE_TOPICS_S = 120.0
_FIRST_ARTICLE_S = 300.0
_POLL_S = 0.5
_SUPERVISION = "supervision of the workers"


class ChaosRun:
    """A chaos run. `run` leaves no process behind, however it ends."""

    def __init__(
        self,
        options: RunOptions,
        code: CodeSnapshot,
        log: Callable[[str], None],
        before: CodeSnapshot | None = None,
    ) -> None:
        """Prepares a run, without starting anything.

        Args:
            code: the copy of the code that all processes run.
            log: receives a line for each event, such as a fault.
            before: the code that the workers run until they are upgraded; by default `code`.
        """
        self._options = options
        self._code = code
        self._before = before
        self._log = log
        self._rng = random.Random(options.seed)
        self._archive = options.folder / ARCHIVE
        self._data = options.folder / DATA
        self._logs = options.folder / "logs"
        self._outcome = RunOutcome()
        self._postgresql: PostgresServer | None = None
        self._store_url: str | None = None
        self._speed = 1.0

    async def run(self) -> RunOutcome:
        """Does the run, and returns its outcome.

        Writes an archive of news, and replays it on Kafka while faults are injected (the broker is behind a proxy).
        Then compares the records with those of a replay of the same archive in one process, without faults.

        Raises:
            ExceptionGroup: with an AssertionError that says why the cluster or the reference run failed.
        """
        from riskwire.demo import corpus_path, watchlist_path

        started_at = time.monotonic()
        options = self._options
        self._logs.mkdir(parents=True)
        self._data.mkdir()
        self._watchlist = watchlist_path()
        write_archive(self._archive, options.articles, options.seed, corpus_path(), self._watchlist)
        async with AsyncExitStack() as stack:
            proxy = Proxy(random.Random(options.seed))
            stack.push_async_callback(proxy.close)
            await proxy.listen()
            broker, proxied_port = proxied_broker(options.folder / "kafka", proxy.port, DIE_WITH_PARENT)
            proxy.forward_to(proxied_port)
            stack.callback(broker.kill)
            webhook = AlertWebhook(random.Random(options.seed))
            stack.push_async_callback(webhook.close)
            await webhook.listen()
            live_news = await stack.enter_async_context(
                open_live_news(options.feeds, random.Random(options.seed), options.folder, broker.client)
            )
            self._start_postgresql(stack)
            (page_port,) = free_ports(1)
            commands = RoleCommands(options.folder, self._watchlist, options.known_bug, self._replay_speed, page_port)
            self._people = DecidingPeople(f"http://127.0.0.1:{page_port}", random.Random(options.seed), self._log)
            settings = kafka_settings(f"kafka://127.0.0.1:{proxy.port}", options.partitions)
            settings |= notify_settings(webhook.url) | ingest_settings() | store_settings(self._store_url)
            settings |= known_bug_settings(options.known_bug)
            environment = base_environment(self._before or self._code) | settings
            fleet = Fleet(commands, environment, self._logs, self._log, finite_role="replay")
            fleet.versions = {NEXT_VERSION: next_version(self._code, self._before and self._code)}
            stack.callback(fleet.kill_all)
            async with asyncio.TaskGroup() as group:
                reference_run = group.create_task(self._reference_run())
                group.create_task(self._start_broker(broker))
            observer = Observer(broker.client)
            injector = FaultInjector(
                fleet,
                broker,
                proxy,
                observer,
                session_s=SESSION_S,
                deadline_s=DEADLINE_S,
                log=self._log,
                live=live_news is not None,
                store=self._postgresql and StoreFaults(self._postgresql, SESSION_S, self._log),
                known_bug=options.known_bug,
            )
            await self._run_with_faults(fleet, injector, live_news)
            await self._compare_if_readable(reference_run.result(), broker, observer, webhook, live_news)
            self._outcome.fenced = dict(proxy.fenced)
        # The fleet has been killed: exits during the comparison are among its exits.
        self._outcome.exits = dict(sorted(fleet.exit_counts.items()))
        self._outcome.did_not_stop = fleet.did_not_stop
        log_paths = sorted(self._logs.glob("*.log"))
        logs = ((path.name, path.read_text(encoding="utf-8", errors="replace")) for path in log_paths)
        self._outcome.logs = summarise_logs(logs, fleet.exits)
        self._outcome.wall_s = time.monotonic() - started_at
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._outcome.cpu_s = usage.ru_utime + usage.ru_stime
        return self._outcome

    # Preparation

    def _start_postgresql(self, stack: AsyncExitStack) -> None:
        """Starts a server with an empty database if the store is on PostgreSQL; the stack stops it."""
        if self._options.store == "postgresql":
            self._postgresql = stack.enter_context(PostgresServer.running(DIE_WITH_PARENT))
            self._store_url = self._postgresql.new_database()

    async def _reference_run(self) -> Path:
        """Replays the archive in one process without Kafka and faults, unless this is cached for archive and code.

        Returns:
            its data directory.
        """
        name = f"{archive_digest(self._archive)}-{self._code.digest}"
        self._log("the reference run")
        command = riskwire_command("replay", str(self._archive), "--watchlist", str(self._watchlist))
        environment = base_environment(self._code) | {"RISKWIRE_BUS__KEEP_PROCESSED": "100000000"}
        return await reference_data(name, command, environment, _REFERENCE_RUN_S)

    async def _start_broker(self, broker: Broker) -> None:
        """Starts an empty broker, and creates the topics of the archive and, with live news, those of `LIVE_PREFIX`."""
        self._log("the broker starts")
        await asyncio.to_thread(broker.format)
        await asyncio.to_thread(broker.start)
        environment = base_environment(self._code) | kafka_settings(broker.url, self._options.partitions)
        environment |= {"RISKWIRE_KAFKA__DEADLINE_S": str(_CREATE_TOPICS_S)}  # the short one is for the workers
        async with asyncio.TaskGroup() as group:
            for prefix in ("", LIVE_PREFIX) if self._options.feeds else ("",):
                prefixed = environment | {"RISKWIRE_KAFKA__PREFIX": prefix}
                group.create_task(run_command(riskwire_command("topics", "create"), prefixed, _CREATE_TOPICS_S))

    # Faults

    def _replay_speed(self) -> str:
        return "max" if self._speed == float("inf") else f"{self._speed:.3f}"

    async def _run_with_faults(self, fleet: Fleet, injector: FaultInjector, live_news: LiveNews | None) -> None:
        """Starts the workers and the replayer, injects the faults, and waits until everything has been read.

        Sets the speed of the replay (archive seconds per second), so that news comes as long as the faults last;
        afterwards the rest is replayed at full speed. Stores what happened in the outcome.
        """
        options = self._options
        plan = list(plan_faults(options.faults, options.every_s, self._rng, options.kinds))
        for role, count in options.workers.items():
            for _ in range(count):
                fleet.start(role)
        if live_news is not None:
            live_news.start(fleet)
        first, last = time_span(self._archive)
        self._speed = (last - first).total_seconds() / (self._planned_s(plan) * _RESERVE)
        fleet.start("replay")
        operator = Operator(injector.broker, injector.broker_lock, self._log)
        background = {_SUPERVISION: fleet.supervise(), "the operator": operator.run()}
        async with background_tasks(background, self._log) as errors:
            self._log("the workers start")
            await self._wait_for_first_article(injector.observer)
            if options.decisions:
                await self._people.start(fleet, self._data if self._store_url is None else None)
            faults_started_at = time.monotonic()
            await self._inject_faults(plan, fleet, injector, first, last)
            self._outcome.faults_s = time.monotonic() - faults_started_at
            injector.proxy.clear_faults()
            if live_news is not None:
                await live_news.stop_publishing()
            self._log("all faults are done; the remaining news is replayed at full speed")
            drain_started_at = time.monotonic()
            self._speed = float("inf")
            # A replayer that is killed is restarted with the new speed.
            for worker in fleet.workers_of("replay"):
                fleet.kill(worker.pid)
            await self._wait_until_everything_is_read(fleet, injector.broker, live_news)
            self._outcome.drained_after_s = time.monotonic() - drain_started_at
            await self._people.stop()
        self._outcome.supervision_error = errors.get(_SUPERVISION, "")
        self._outcome.aborted = operator.aborted
        self._outcome.faults = dict(injector.injected)
        self._outcome.missed_traps = injector.missed_traps

    def _planned_s(self, plan: list[Fault]) -> float:
        return sum(fault.after_s for fault in plan) + 5.0

    async def _wait_for_first_article(self, observer: Observer) -> None:
        """Waits until an article is on the topic; raises TimeoutError after `_FIRST_ARTICLE_S`."""
        async with asyncio.timeout(_FIRST_ARTICLE_S):
            while True:
                if await asyncio.to_thread(observer.newest_time) is not None:
                    return
                await asyncio.sleep(_POLL_S)

    async def _inject_faults(
        self, plan: list[Fault], fleet: Fleet, injector: FaultInjector, first: datetime, last: datetime
    ) -> None:
        """Injects the planned faults at their times, at most `_MAX_CONCURRENT_FAULTS` at once, and waits for their end.

        At each fault, adapts the speed of the replay to the remaining time, so that it lasts as long as the faults. If
        the faults take longer than planned so far, the remaining ones are expected to do so as well.

        Args:
            first: the time of the archive's first article; `last` that of the last.
        """
        free_slots = asyncio.Semaphore(_MAX_CONCURRENT_FAULTS)
        started_at, planned_so_far_s = time.monotonic(), 0.0

        async def inject(fault: Fault) -> None:
            """Injects a fault, and then frees its slot among the concurrent faults."""
            try:
                await injector.inject(fault)
            finally:
                free_slots.release()

        async with asyncio.TaskGroup() as group:
            for fault in plan:
                await asyncio.sleep(fault.after_s)
                await free_slots.acquire()
                planned_so_far_s += fault.after_s
                self._outcome.faults_while_publishing += not fleet.finished.is_set()
                remaining_s = self._planned_s(plan) - planned_so_far_s
                delay_factor = max(1.0, (time.monotonic() - started_at) / planned_so_far_s)
                group.create_task(self._adapt_speed(injector.observer, first, last, remaining_s * delay_factor))
                group.create_task(inject(fault))

    async def _adapt_speed(self, observer: Observer, first: datetime, last: datetime, remaining_s: float) -> None:
        """Sets the speed of later replayers, so that the remaining news takes the remaining time."""
        try:
            newest = await asyncio.to_thread(observer.newest_time)
        except KafkaException:  # the broker is stopped: the next fault tries again
            return
        if newest is not None:
            self._speed = max(1.0, (last - max(newest, first)).total_seconds()) / max(5.0, remaining_s * _RESERVE)

    # Comparison

    async def _wait_until_everything_is_read(self, fleet: Fleet, broker: Broker, live_news: LiveNews | None) -> None:
        """Waits until all topics have been read, for at most ``drain_s``.

        Sets `drained` of the outcome then, and otherwise only says in `undrained` what has not been read; it raises
        nothing. The ingesters are stopped once live news is published.
        """
        try:
            async with asyncio.timeout(self._options.drain_s):
                await fleet.finished.wait()
                await self._people.stop()
                self._log("the archive is published; waiting until it has been read")
                await self._wait_until_drained(broker, "", GROUPS)
                if live_news is not None:
                    self._outcome.undrained = "live news: not everything is published"
                    await live_news.wait_until_published()
                    self._log("live news is published; the ingesters stop")
                    await stop_ingesters(fleet)
                    self._outcome.undrained = "live news: infer"
                    await self._wait_until_drained(broker, LIVE_PREFIX, ("infer",))
                    self._outcome.undrained = "live news: the results of infer do not become readable"
                    await live_news.wait_until_readable()
                self._outcome.drained = True
        except TimeoutError:
            if not self._outcome.undrained:
                finished = fleet.finished.is_set()
                self._outcome.undrained = "the stages" if finished else "the replay has not finished"

    async def _wait_until_drained(self, broker: Broker, prefix: str, groups: Sequence[str]) -> None:
        """Waits until the groups have read everything. It has no limit: the caller sets a timeout (`--drain`).

        Args:
            prefix: the prefix of the topics: that of live news, or empty for the archive's.
        """
        from riskwire.bus.drain import wait_until_drained
        from riskwire.errors import RiskwireError

        while True:
            with suppress(RiskwireError):  # a busy machine, on which the cluster does not answer within the deadline
                async with self._open_bus(broker, prefix) as bus:
                    await wait_until_drained(bus, groups)
                    return

    @asynccontextmanager
    async def _open_bus(self, broker: Broker, prefix: str) -> AsyncIterator[KafkaBus]:
        """Opens a bus on the topics with a prefix, connected to the broker without the proxy; closes it at the end."""
        from riskwire.bus.kafka.bus import KafkaBus
        from riskwire.settings import BusSettings, KafkaSettings

        kafka = KafkaSettings(partitions=self._options.partitions, prefix=prefix)
        bus = await KafkaBus.open(BusSettings(url=broker.url), kafka)
        try:
            yield bus
        finally:
            await bus.close()

    async def _compare_if_readable(
        self, reference: Path, broker: Broker, observer: Observer, webhook: AlertWebhook, live_news: LiveNews | None
    ) -> None:
        """Compares the records. After an incomplete drain the topics may be unreadable, which is only logged."""
        if self._outcome.drained:
            await self._compare(reference, broker, observer, webhook, live_news)
            return
        try:
            await self._compare(reference, broker, observer, webhook, live_news)
        except (AssertionError, KafkaException) as error:
            self._log(f"the topics cannot be read: {error}")

    async def _compare(
        self, reference: Path, broker: Broker, observer: Observer, webhook: AlertWebhook, live_news: LiveNews | None
    ) -> None:
        """Compares what the run has written with what it should have, and stores the results in the outcome.

        Topics and store are compared with the reference run, notifications with the run's own alerts, and live news
        with its pages.

        Args:
            reference: the data directory of the reference run, which had no faults.
        """
        outcome = self._outcome
        malformed = len(malformed_records(observer))
        outcome.added = (observer.added.total() - malformed, malformed)
        outcome.comparisons = await compare_topics(reference, broker.client, observer)
        if self._options.decisions:
            outcome.comparisons.append(await explain_notifications(broker.client, webhook, self._logs, outcome))
        else:
            alerts = await read_topic(broker.client, "alerts")
            outcome.comparisons.append(await compare_notifications(alerts, webhook))
        outcome.arrived = webhook.arrived.total()
        if live_news is not None:
            outcome.comparisons += await live_news.compare()
        outcome.store_checked, outcome.store_differences = await compare_store(reference, self._data, self._store_url)
