"""How each fault is done: on processes, on the broker, on the traffic."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from broker import Broker

from harness.cluster import Observer
from harness.fleet import Fleet, Worker
from harness.plan import Fault, Kind
from harness.proxy import ADD_PARTITIONS, TRANSACTION, Proxy, Trap, Way

_STAGES = ("infer", "alert", "sink", "notify")
_AIMED_AT = ("infer", "infer", "alert", "alert", "sink")
"""Whose transactions traps are laid for; notify takes one only when there is an alert."""
_LIVE = ("ingest", "live")
_LIVE_AIMED_AT = ("ingest", "ingest", "live")
_MOST_OF_A_ROLE = 4
_TRAP_S = 8.0
_GARBAGE = (b"", b"{", b'{"v":1,"kind":"article","id":7}', b"\xff\xfe no text", b'{"kind":"unheard of"}')


@dataclass(slots=True)
class Strikes:
    """Does faults; counts what was done, by kind."""

    fleet: Fleet
    broker: Broker
    proxy: Proxy
    observer: Observer
    session_s: float
    deadline_s: float
    say: Callable[[str], None]
    live: bool = False
    """Whether there are ingesters and an infer of what they bring."""
    done: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    """Traps into which no transaction went."""
    garbage: int = 0
    at_broker: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever stops the broker, or needs it."""
    _at_traffic: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def _stages(self) -> tuple[str, ...]:
        return (*_STAGES, *_LIVE) if self.live else _STAGES

    @property
    def _aimed_at(self) -> tuple[str, ...]:
        return (*_AIMED_AT, *_LIVE_AIMED_AT) if self.live else _AIMED_AT

    def _victim(self, chance: random.Random) -> Worker | None:
        role = chance.choice((*self._aimed_at, "notify"))
        return self.fleet.one_of([role], chance) or self.fleet.one_of(self._stages, chance)

    async def strike(self, fault: Fault) -> None:
        """Do a fault to its end: the process sleeps no more, the broker is back, the traffic flows."""
        self.done[fault.kind] += 1
        if fault.kind == "several at once":
            self.say(f"#{fault.number} several at once: {' + '.join(part.kind for part in fault.parts)}")
            async with asyncio.TaskGroup() as group:
                for part in fault.parts:
                    self.done[f"  of which {part.kind}"] += 1
                    group.create_task(self._one(part))
        else:
            await self._one(fault)

    async def _one(self, fault: Fault) -> None:
        chance = random.Random(fault.seed)
        doing: dict[Kind, Callable[[Fault, random.Random], object]] = {
            "SIGKILL": self._kill,
            "SIGKILL in a transaction": self._kill_in_a_transaction,
            "SIGSTOP, SIGCONT": self._sleep,
            "SIGSTOP in a transaction, SIGCONT": self._sleep_in_a_transaction,
            "broker restarted": self._restart_broker,
            "broker killed and started": self._kill_broker,
            "connections cut": self._cut,
            "connections refused": self._refuse,
            "traffic delayed": self._delay,
            "traffic stalled": self._stall,
            "worker added": self._add,
            "worker removed": self._remove,
            "replayer killed": self._kill_replayer,
            "replayer asleep, another in its place": self._replace_replayer,
            "repeats and garbage on articles": self._repeat,
        }
        await doing[fault.kind](fault, chance)  # type: ignore[misc]

    def _tell(self, fault: Fault, more: str) -> None:
        self.say(f"#{fault.number} {fault.kind}: {more}")

    # Processes

    async def _kill(self, fault: Fault, chance: random.Random) -> None:
        worker = self._victim(chance)
        if worker is not None:
            self._tell(fault, worker.name)
            self.fleet.kill(worker.pid)

    async def _sleep(self, fault: Fault, chance: random.Random) -> None:
        worker = self._victim(chance)
        if worker is not None:
            asleep_s = self._asleep_s(chance)
            self._tell(fault, f"{worker.name} for {asleep_s:.1f} s")
            await self._asleep(worker.pid, asleep_s, stop=True)

    async def _kill_in_a_transaction(self, fault: Fault, chance: random.Random) -> None:
        trap = self._trap(chance, self.fleet.kill)
        if await self._caught(fault, trap):
            await self._let_go(trap, chance.uniform(0, self.session_s * 2))
        else:
            await self._kill(fault, chance)

    async def _sleep_in_a_transaction(self, fault: Fault, chance: random.Random) -> None:
        caught: list[int] = []

        def spring(pid: int) -> None:
            caught.append(pid)
            self.fleet.put_to_sleep(pid)

        trap = self._trap(chance, spring)
        asleep_s = self._asleep_s(chance)
        if await self._caught(fault, trap, f"; asleep for {asleep_s:.1f} s"):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._asleep(caught[0], asleep_s, stop=False))
                group.create_task(self._let_go(trap, max(0.0, asleep_s + chance.uniform(-2, 2))))
        else:
            await self._sleep(fault, chance)

    def _trap(self, chance: random.Random, spring: Callable[[int], None]) -> Trap:
        role = chance.choice(self._aimed_at)
        # The sink's store is elsewhere: its transactions hold nothing but the position.
        requests = [request for request in TRANSACTION if role != "sink" or request != ADD_PARTITIONS]
        request, hold = chance.choice(requests), chance.random() < 0.5
        return Trap(request, lambda pid: pid in self.fleet.awake(role), spring, hold)

    async def _caught(self, fault: Fault, trap: Trap, more: str = "") -> bool:
        """Lay a trap and wait until it springs, which `_let_go` then ends; False where nothing went into it."""
        names: list[str] = []
        spring = trap.spring

        def told(pid: int) -> None:
            names.append(self.fleet.by_pid(pid))
            spring(pid)

        trap.spring = told
        self.proxy.set(trap)
        with suppress(TimeoutError):
            async with asyncio.timeout(_TRAP_S):
                await trap.sprung.wait()
        if not trap.sprung.is_set():
            self.proxy.lift(trap)
            self.missed += 1
            self._tell(fault, f"no {TRANSACTION[trap.request]} came for {_TRAP_S:.0f} s; at any moment then")
            return False
        how = "which reaches the broker late" if trap.hold else "which reaches the broker"
        self._tell(fault, f"{names[0]} at its {TRANSACTION[trap.request]}, {how}{more}")
        return True

    async def _let_go(self, trap: Trap, after_s: float) -> None:
        """What a trap keeps back goes on after so long."""
        try:
            await asyncio.sleep(after_s)
        finally:
            self.proxy.lift(trap)

    def _asleep_s(self, chance: random.Random) -> float:
        return self.session_s * chance.uniform(1.2, 2.5)

    async def _asleep(self, pid: int, seconds: float, *, stop: bool) -> None:
        if stop:
            self.fleet.put_to_sleep(pid)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.fleet.wake(pid)

    async def _add(self, fault: Fault, chance: random.Random) -> None:
        roles = [role for role in self._stages if len(self.fleet.of(role)) < _MOST_OF_A_ROLE]
        if not roles:
            await self._remove(fault, chance)
            return
        self._tell(fault, self.fleet.start(chance.choice(roles)).name)

    async def _remove(self, fault: Fault, chance: random.Random) -> None:
        roles = [role for role in self._stages if len(self.fleet.of(role)) > 1]
        if not roles:
            await self._add(fault, chance)
            return
        worker = chance.choice(self.fleet.of(chance.choice(roles)))
        self._tell(fault, worker.name)
        await self.fleet.remove(worker)

    async def _kill_replayer(self, fault: Fault, chance: random.Random) -> None:
        worker = self.fleet.one_of(["replay"], chance)
        if worker is not None:
            self._tell(fault, worker.name)
            self.fleet.kill(worker.pid)

    async def _replace_replayer(self, fault: Fault, chance: random.Random) -> None:
        """Two publishers of one name: the one that wakes up must find that it is no longer it."""
        worker = self.fleet.one_of(["replay"], chance)
        if worker is None:
            return
        asleep_s = self._asleep_s(chance)
        worker.leaving = True
        self._tell(fault, f"{worker.name} for {asleep_s:.1f} s; {self.fleet.start('replay').name} meanwhile")
        await self._asleep(worker.pid, asleep_s, stop=True)
        await self.fleet.remove(worker, after_s=self.deadline_s * 4)

    # The broker

    async def _restart_broker(self, fault: Fault, chance: random.Random) -> None:
        async with self.at_broker:
            self._tell(fault, "SIGTERM")
            await asyncio.to_thread(self.broker.stop)
            await asyncio.sleep(chance.uniform(0, 3))
            await asyncio.to_thread(self.broker.start)

    async def _kill_broker(self, fault: Fault, chance: random.Random) -> None:
        async with self.at_broker:
            self._tell(fault, "SIGKILL")
            await asyncio.to_thread(self.broker.kill)
            await asyncio.sleep(chance.uniform(0, 3))
            await asyncio.to_thread(self.broker.start)

    # The traffic

    async def _cut(self, fault: Fault, chance: random.Random) -> None:
        share = chance.choice((0.3, 0.7, 1.0))
        self._tell(fault, f"{self.proxy.cut(share)} connections")

    async def _refuse(self, fault: Fault, chance: random.Random) -> None:
        async with self._at_traffic:
            seconds = chance.uniform(1, self.session_s * 2)
            self._tell(fault, f"for {seconds:.1f} s, and half of those that are cut")
            self.proxy.refusing = True
            self.proxy.cut(0.5)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.proxy.refusing = False

    async def _delay(self, fault: Fault, chance: random.Random) -> None:
        async with self._at_traffic:
            seconds, latency_s = chance.uniform(2, 8), chance.choice((0.03, 0.1, 0.3))
            ways = self._ways(chance)
            self._tell(fault, f"{latency_s * 1000:.0f} ms {ways[0]} for {seconds:.1f} s")
            for way in ways[1]:
                way.latency_s = latency_s
            try:
                await asyncio.sleep(seconds)
            finally:
                for way in ways[1]:
                    way.latency_s = 0.0

    async def _stall(self, fault: Fault, chance: random.Random) -> None:
        async with self._at_traffic:
            beyond = chance.random() < 0.5
            seconds = self.deadline_s + chance.uniform(0.5, 3) if beyond else chance.uniform(0.5, self.session_s * 1.5)
            ways = self._ways(chance)
            self._tell(fault, f"{ways[0]} for {seconds:.1f} s{', beyond the deadline of a request' if beyond else ''}")
            for way in ways[1]:
                way.open.clear()
            try:
                await asyncio.sleep(seconds)
            finally:
                for way in ways[1]:
                    way.open.set()

    def _ways(self, chance: random.Random) -> tuple[str, list[Way]]:
        up, down = self.proxy.up, self.proxy.down
        return chance.choice((("to the broker", [up]), ("to the workers", [down]), ("both ways", [up, down])))

    # The log

    async def _repeat(self, fault: Fault, chance: random.Random) -> None:
        """A second source: articles that are there already, and records that are none."""
        async with self.at_broker:
            tail = await asyncio.to_thread(self.observer.tail)
            articles = [one for one in tail if b'"kind":"article"' in one[2] and one[2] not in self.observer.added]
            repeats = chance.sample(articles, min(len(articles), 10))
            partitions = sorted({partition for partition, _, _ in tail}) or [0]
            self.garbage += 1
            garbage = [
                (chance.choice(partitions), None, raw + b" %d" % self.garbage) for raw in chance.sample(_GARBAGE, 2)
            ]
            self._tell(fault, f"{len(repeats)} articles again, {len(garbage)} records that cannot be read")
            await asyncio.to_thread(self.observer.add, [*repeats, *garbage])
