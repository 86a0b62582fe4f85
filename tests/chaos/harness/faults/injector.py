"""`FaultInjector` carries out each kind of fault: on processes, on the broker, on the traffic, and on the log."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from broker import Broker

from harness.cluster.observer import Observer
from harness.faults.plan import Fault, FaultKind
from harness.faults.proxy import ADD_PARTITIONS, TRANSACTION_REQUESTS, Proxy, TrafficDirection, Trap
from harness.faults.rolling import UPGRADE_ORDER, RollingRestart
from harness.faults.store_faults import StoreFaults
from harness.processes.fleet import Fleet, Worker

_STAGES = ("infer", "alert", "sink", "notify")
_TRAP_ROLES = ("infer", "infer", "alert", "alert", "sink")
"""Roles whose transactions are trapped. notify has a transaction only when there is an alert, so it is not trapped."""
_LIVE_STAGES = ("live", "ingest")
"""The services that live news adds, readers before writers: an infer of their articles, and the ingesters."""
_LIVE_TRAP_ROLES = ("ingest", "ingest", "live")
_MAX_WORKERS_OF_A_ROLE = 4
_TRAP_S = 8.0
_KNOWN_BUG_TRAP_S = 60.0
_BUGGY_STEPS = {"position": ("infer", "infer-articles-"), "state": ("alert", "alert-signals-")}
"""By bug: the role whose interrupted steps lose records, and the start of the transactional ids of these steps.

infer knows an article that it reads again, so that its state may be ahead of its position; alert loses trend points.
"""
_MALFORMED_RECORDS = (b"", b"{", b'{"v":1,"kind":"article","id":7}', b"\xff\xfe no text", b'{"kind":"unheard of"}')


@dataclass(slots=True)
class FaultInjector:
    """Injects faults and counts them by kind.

    Attributes:
        live: whether there are ingesters, and an infer that reads their articles.
        store: the faults of a store on PostgreSQL; None on SQLite.
        known_bug: the bug that the stages have, or None. Traps then wait for the first request of a step of the stage
            in `_BUGGY_STEPS`, for as long as a worker needs to start on a busy machine, and for no other writer of that
            process, such as the watchlist of infer.
        missed_traps: traps that caught no request in time.
        broker_lock: held while the broker is stopped, or while it must not be stopped.
    """

    fleet: Fleet
    broker: Broker
    proxy: Proxy
    observer: Observer
    session_s: float
    deadline_s: float
    log: Callable[[str], None]
    live: bool = False
    store: StoreFaults | None = None
    known_bug: str | None = None
    injected: Counter[str] = field(default_factory=Counter)
    missed_traps: int = 0
    broker_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _rolling: RollingRestart = field(init=False)
    _malformed_batches: int = 0
    _traffic_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Prepares the restarts of services."""
        upgrade_order = (*UPGRADE_ORDER, *_LIVE_STAGES) if self.live else UPGRADE_ORDER
        self._rolling = RollingRestart(self.fleet, self._stages, self.log, upgrade_order)

    @property
    def _stages(self) -> tuple[str, ...]:
        return (*_STAGES, *_LIVE_STAGES) if self.live else _STAGES

    @property
    def _trap_roles(self) -> tuple[str, ...]:
        if self.known_bug:
            return (_BUGGY_STEPS[self.known_bug][0],)
        return (*_TRAP_ROLES, *_LIVE_TRAP_ROLES) if self.live else _TRAP_ROLES

    def _choose_worker(self, rng: random.Random) -> Worker | None:
        role = rng.choice((*self._trap_roles, "notify"))
        return self.fleet.choose([role], rng) or self.fleet.choose(self._stages, rng)

    async def inject(self, fault: Fault) -> None:
        """Injects a fault, counts it, and waits until it is over.

        It is over when the process is resumed, the broker is back, or the traffic flows again. The parts of "several at
        once" run concurrently, and are counted as well.
        """
        self.injected[fault.kind] += 1
        if fault.kind == "several at once":
            self.log(f"#{fault.number} several at once: {' + '.join(part.kind for part in fault.parts)}")
            async with asyncio.TaskGroup() as group:
                for part in fault.parts:
                    self.injected[f"  of which {part.kind}"] += 1
                    group.create_task(self._inject_single(part))
        else:
            await self._inject_single(fault)

    async def _inject_single(self, fault: Fault) -> None:
        """Injects one fault of any kind; its random choices follow from the seed of the fault."""
        rng = random.Random(fault.seed)
        actions: dict[FaultKind, Callable[[Fault, random.Random], Awaitable[None]]] = {
            "SIGKILL": self._kill,
            "SIGKILL in a transaction": self._kill_in_a_transaction,
            "SIGSTOP, SIGCONT": self._suspend,
            "SIGSTOP in a transaction, SIGCONT": self._suspend_in_a_transaction,
            "broker restarted": self._restart_broker,
            "broker killed and started": self._kill_broker,
            "connections cut": self._cut_connections,
            "connections refused": self._refuse_connections,
            "traffic delayed": self._delay_traffic,
            "traffic stalled": self._stall_traffic,
            "worker added": self._add_worker,
            "worker removed": self._remove_worker,
            "service restarted, worker by worker": lambda fault, _: self._rolling.restart_next(fault),
            "service upgraded or rolled back, worker by worker": lambda fault, _: self._rolling.upgrade_next(fault),
            "replayer killed": self._kill_replayer,
            "replayer suspended and replaced": self._replace_replayer,
            "duplicate and malformed articles": self._write_to_articles,
        }
        if self.store is not None:
            actions["PostgreSQL killed and started"] = self.store.kill
            actions["PostgreSQL frozen"] = self.store.freeze
            actions["PostgreSQL connections cut"] = self.store.cut_connections
        await actions[fault.kind](fault, rng)

    def _log_fault(self, fault: Fault, details: str) -> None:
        self.log(f"#{fault.number} {fault.kind}: {details}")

    # Processes

    async def _kill(self, fault: Fault, rng: random.Random) -> None:
        """Kills a random worker with SIGKILL; does nothing if none is alive."""
        worker = self._choose_worker(rng)
        if worker is not None:
            self._log_fault(fault, worker.name)
            self.fleet.kill(worker.pid)

    async def _suspend(self, fault: Fault, rng: random.Random) -> None:
        """Suspends a random worker for longer than its session, and resumes it; does nothing if none is alive."""
        worker = self._choose_worker(rng)
        if worker is not None:
            suspended_s = self._suspension_s(rng)
            self._log_fault(fault, f"{worker.name} for {suspended_s:.1f} s")
            await self._suspend_for(worker.pid, suspended_s, stop=True)

    async def _kill_in_a_transaction(self, fault: Fault, rng: random.Random) -> None:
        """Kills a worker when its transaction reaches a random request; if none does, any worker at any moment.

        The trap, which waits for that request in the proxy, may hold the request back, so that it reaches the broker up
        to two session timeouts after the death of its sender.
        """
        trap = self._make_trap(rng, self.fleet.kill)
        if await self._spring(fault, trap):
            await self._remove_trap_after(trap, rng.uniform(0, self.session_s * 2))
        else:
            await self._kill(fault, rng)

    async def _suspend_in_a_transaction(self, fault: Fault, rng: random.Random) -> None:
        """Suspends a worker for a while when its transaction reaches a random request; if none does, at any moment.

        The trap, which waits for that request in the proxy, may hold it back until about when the worker resumes.
        """
        suspended: list[int] = []

        def suspend(pid: int) -> None:
            suspended.append(pid)
            self.fleet.suspend(pid)

        trap = self._make_trap(rng, suspend)
        suspended_s = self._suspension_s(rng)
        if await self._spring(fault, trap, f"; suspended for {suspended_s:.1f} s"):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._suspend_for(suspended[0], suspended_s, stop=False))
                group.create_task(self._remove_trap_after(trap, max(0.0, suspended_s + rng.uniform(-2, 2))))
        else:
            await self._suspend(fault, rng)

    def _make_trap(self, rng: random.Random, on_caught: Callable[[int], None]) -> Trap:
        """Returns a trap for a random request of a transaction, sent by any running worker of a random role.

        Args:
            on_caught: called with the process id of the worker whose request is caught.
        """
        role = rng.choice(self._trap_roles)
        # The sink writes to a database, so its transactions hold only the position and add no partitions.
        requests = [request for request in TRANSACTION_REQUESTS if role != "sink" or request != ADD_PARTITIONS]
        if self.known_bug:
            requests = [ADD_PARTITIONS]
        request, hold = rng.choice(requests), rng.random() < 0.5
        return Trap(
            request=request,
            matches=lambda pid: pid in self.fleet.running_pids(role),
            on_caught=on_caught,
            hold=hold,
            transaction=_BUGGY_STEPS[self.known_bug][1] if self.known_bug else "",
        )

    async def _spring(self, fault: Fault, trap: Trap, details: str = "") -> bool:
        """Sets a trap and waits until it has caught a request. The caller then removes the trap.

        Args:
            details: added to the line of the log.

        Returns:
            False, with the trap removed and counted as missed, if no request came within `_TRAP_S`.
        """
        longest_s = _KNOWN_BUG_TRAP_S if self.known_bug else _TRAP_S
        names: list[str] = []
        on_caught = trap.on_caught

        def record_name(pid: int) -> None:
            names.append(self.fleet.name_of(pid))
            on_caught(pid)

        trap.on_caught = record_name
        self.proxy.set_trap(trap)
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await trap.caught.wait()
        request = TRANSACTION_REQUESTS[trap.request]
        if not trap.caught.is_set():
            self.proxy.remove_trap(trap)
            self.missed_traps += 1
            self._log_fault(fault, f"no {request} came for {longest_s:.0f} s; now at an arbitrary moment")
            return False
        arrival = "which reaches the broker late" if trap.hold else "which reaches the broker"
        self._log_fault(fault, f"{names[0]} at its {request}, {arrival}{details}")
        return True

    async def _remove_trap_after(self, trap: Trap, delay_s: float) -> None:
        """Removes a trap after a time, also if cancelled before. A request that it holds then reaches the broker."""
        try:
            await asyncio.sleep(delay_s)
        finally:
            self.proxy.remove_trap(trap)

    def _suspension_s(self, rng: random.Random) -> float:
        return self.session_s * rng.uniform(1.2, 2.5)

    async def _suspend_for(self, pid: int, seconds: float, *, stop: bool) -> None:
        """Resumes a process after a time, also if cancelled before.

        Args:
            stop: whether it must be suspended first; otherwise it already is.
        """
        if stop:
            self.fleet.suspend(pid)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.fleet.resume(pid)

    async def _add_worker(self, fault: Fault, rng: random.Random) -> None:
        """Starts another worker of a random stage that has fewer than four; removes one if all have four."""
        roles = [role for role in self._stages if len(self.fleet.workers_of(role)) < _MAX_WORKERS_OF_A_ROLE]
        if not roles:
            await self._remove_worker(fault, rng)
            return
        self._log_fault(fault, self.fleet.start(rng.choice(roles)).name)

    async def _remove_worker(self, fault: Fault, rng: random.Random) -> None:
        """Stops a random worker of a stage with more than one, without a restart; adds one if no stage has two."""
        roles = [role for role in self._stages if len(self.fleet.workers_of(role)) > 1]
        if not roles:
            await self._add_worker(fault, rng)
            return
        worker = rng.choice(self.fleet.workers_of(rng.choice(roles)))
        self._log_fault(fault, worker.name)
        await self.fleet.remove(worker)

    async def _kill_replayer(self, fault: Fault, rng: random.Random) -> None:
        """Kills the replayer, which publishes the archive; does nothing if it is not alive."""
        worker = self.fleet.choose(["replay"], rng)
        if worker is not None:
            self._log_fault(fault, worker.name)
            self.fleet.kill(worker.pid)

    async def _replace_replayer(self, fault: Fault, rng: random.Random) -> None:
        """Suspends the replayer, and starts a second publisher of the same name meanwhile; nothing if none is alive.

        The first, once resumed, must notice that it was fenced, and exit. It gets SIGTERM if it has not exited by
        itself after four deadlines.
        """
        worker = self.fleet.choose(["replay"], rng)
        if worker is None:
            return
        suspended_s = self._suspension_s(rng)
        worker.leaving = True
        self._log_fault(fault, f"{worker.name} for {suspended_s:.1f} s; {self.fleet.start('replay').name} meanwhile")
        await self._suspend_for(worker.pid, suspended_s, stop=True)
        await self.fleet.remove(worker, after_s=self.deadline_s * 4)

    # The broker

    async def _restart_broker(self, fault: Fault, rng: random.Random) -> None:
        """Stops the broker with SIGTERM, and starts it again after up to 3 s."""
        async with self.broker_lock:
            self._log_fault(fault, "SIGTERM")
            await asyncio.to_thread(self.broker.stop)
            await asyncio.sleep(rng.uniform(0, 3))
            await asyncio.to_thread(self.broker.start)

    async def _kill_broker(self, fault: Fault, rng: random.Random) -> None:
        """Kills the broker with SIGKILL, and starts it again after up to 3 s."""
        async with self.broker_lock:
            self._log_fault(fault, "SIGKILL")
            await asyncio.to_thread(self.broker.kill)
            await asyncio.sleep(rng.uniform(0, 3))
            await asyncio.to_thread(self.broker.start)

    # The traffic

    async def _cut_connections(self, fault: Fault, rng: random.Random) -> None:
        share = rng.choice((0.3, 0.7, 1.0))
        self._log_fault(fault, f"{self.proxy.cut(share)} connections")

    async def _refuse_connections(self, fault: Fault, rng: random.Random) -> None:
        """Resets half of the connections to the broker, and refuses new ones, for up to two session timeouts."""
        async with self._traffic_lock:
            seconds = rng.uniform(1, self.session_s * 2)
            self._log_fault(fault, f"for {seconds:.1f} s; half of the open connections are cut")
            self.proxy.refusing = True
            self.proxy.cut(0.5)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.proxy.refusing = False

    async def _delay_traffic(self, fault: Fault, rng: random.Random) -> None:
        """Delays every chunk of traffic in random directions by 30 to 300 ms, for 2 to 8 s."""
        async with self._traffic_lock:
            seconds, latency_s = rng.uniform(2, 8), rng.choice((0.03, 0.1, 0.3))
            description, directions = self._choose_directions(rng)
            self._log_fault(fault, f"{latency_s * 1000:.0f} ms {description} for {seconds:.1f} s")
            for direction in directions:
                direction.latency_s = latency_s
            try:
                await asyncio.sleep(seconds)
            finally:
                for direction in directions:
                    direction.latency_s = 0.0

    async def _stall_traffic(self, fault: Fault, rng: random.Random) -> None:
        """Holds the traffic in random directions back, for longer than a request's deadline in half of the cases."""
        async with self._traffic_lock:
            beyond = rng.random() < 0.5
            seconds = self.deadline_s + rng.uniform(0.5, 3) if beyond else rng.uniform(0.5, self.session_s * 1.5)
            description, directions = self._choose_directions(rng)
            deadline = ", beyond the deadline of a request" if beyond else ""
            self._log_fault(fault, f"{description} for {seconds:.1f} s{deadline}")
            for direction in directions:
                direction.open.clear()
            try:
                await asyncio.sleep(seconds)
            finally:
                for direction in directions:
                    direction.open.set()

    def _choose_directions(self, rng: random.Random) -> tuple[str, list[TrafficDirection]]:
        """Returns a random choice of the proxy's directions: to the broker, to riskwire's processes, or both.

        Returns:
            a description for the log, and the directions.
        """
        to_broker, to_workers = self.proxy.to_broker, self.proxy.to_workers
        return rng.choice(
            (
                ("to the broker", [to_broker]),
                ("to the workers", [to_workers]),
                ("in both directions", [to_broker, to_workers]),
            )
        )

    # The log

    async def _write_to_articles(self, fault: Fault, rng: random.Random) -> None:
        """Writes articles that the topic already has, and records that cannot be read, as a second source would.

        Writes up to ten duplicates of the newest articles, and two malformed records, which differ in each batch by a
        number at their end.
        """
        async with self.broker_lock:
            tail = await asyncio.to_thread(self.observer.tail)
            articles = [
                record for record in tail if b'"kind":"article"' in record[2] and record[2] not in self.observer.added
            ]
            duplicates = rng.sample(articles, min(len(articles), 10))
            partitions = sorted({partition for partition, _, _ in tail}) or [0]
            self._malformed_batches += 1
            malformed = [
                (rng.choice(partitions), None, raw + b" %d" % self._malformed_batches)
                for raw in rng.sample(_MALFORMED_RECORDS, 2)
            ]
            self._log_fault(fault, f"{len(duplicates)} duplicates, {len(malformed)} records that cannot be read")
            await asyncio.to_thread(self.observer.add, [*duplicates, *malformed])
