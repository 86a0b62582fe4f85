"""The loop that every stage is, on the real embedded bus."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pytest
from refusing import STATE, RefusingBus

from riskwire.bus import Bus, Message, Outgoing
from riskwire.bus.drain import drained
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.errors import BusError, DeviceError, RiskwireError, SchemaError
from riskwire.pipeline import StageSpec, Topic
from riskwire.records import DeadLetter
from riskwire.settings import BusSettings
from riskwire.stage import MAX_REFUSED_IN_A_ROW, Stage, Step, Task, dead_letter, run_stage


class Counting:
    """Copies articles to analyses under a running number, which is its state; does to some records what it is told."""

    spec = StageSpec("counting", Topic.ARTICLES, (Topic.ANALYSES,), "counting")

    def __init__(self, on: Callable[[Message], Outgoing | None] = lambda message: None) -> None:
        self.on = on
        self.batches: list[int] = []

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        return CountingTask(self, int(state.get("count", b"0")))


class CountingTask:
    def __init__(self, stage: Counting, count: int) -> None:
        self.stage = stage
        self.count = count

    async def process(self, batch: Sequence[Message]) -> Step:
        self.stage.batches.append(len(batch))
        step = Step()
        for message in batch:
            self.count += 1  # before anything can fail: what is left of a failed batch must not be seen again
            extra = self.stage.on(message)
            copy = b"%d:%s" % (self.count, message.value)
            step.results.append(extra or Outgoing(Topic.ANALYSES, None, copy, message.partition))
        step.state["count"] = b"%d" % self.count
        return step


def fails_on(*poison: bytes, error: Callable[[], BaseException] = lambda: ValueError("cannot read this")) -> Callable:
    def on(message: Message) -> None:
        if message.value in poison:
            raise error()

    return on


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[EmbeddedBus]:
    opened = await EmbeddedBus.open(tmp_path, BusSettings(partitions=1))
    yield opened
    await opened.close()


async def publish(bus: EmbeddedBus, *records: bytes) -> None:
    async with bus.publisher("source") as publisher:
        await publisher.publish([Outgoing(Topic.ARTICLES, None, value, 0) for value in records], {})


async def run_until_drained(bus: Bus, stage: Stage, batch: int = 10) -> None:
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(run_stage(bus, stage, batch=batch))
        await drained(bus, [stage.spec.name])
        running.cancel()


async def copies(bus: EmbeddedBus) -> list[bytes]:
    return [message.value for message in await bus.read(Topic.ANALYSES, 0, 0, 10_000)]


async def letters(bus: EmbeddedBus) -> list[DeadLetter]:
    found = await bus.read(Topic.DEAD_LETTERS, 0, 0, 10_000)
    return [DeadLetter.model_validate_json(message.value) for message in found]


async def state_of(bus: EmbeddedBus) -> dict[str, bytes]:
    return await (await anext(bus.assignments("counting", Topic.ARTICLES))).restore()


async def lag_of(bus: EmbeddedBus) -> int:
    return sum(lag.records for lag in await bus.lag() if lag.group == "counting")


async def test_every_record_is_processed_once_and_in_order(bus: EmbeddedBus):
    await publish(bus, *(b"%d" % n for n in range(100)))
    await run_until_drained(bus, Counting(), batch=7)
    assert await copies(bus) == [b"%d:%d" % (n + 1, n) for n in range(100)]
    assert await state_of(bus) == {"count": b"100"}


@pytest.mark.parametrize("batch", [1, 3, 10])
@pytest.mark.parametrize("poison", [[0], [5], [9], [0, 1, 2], [2, 5, 6, 9], list(range(10))])
async def test_poison_goes_to_the_dead_letters_as_though_it_had_never_come(
    bus: EmbeddedBus, poison: list[int], batch: int
):
    await publish(bus, *(b"%d" % n for n in range(10)))
    await run_until_drained(bus, Counting(fails_on(*(b"%d" % n for n in poison))), batch=batch)
    good = [n for n in range(10) if n not in poison]
    assert await copies(bus) == [b"%d:%d" % (count, n) for count, n in enumerate(good, 1)]
    assert await state_of(bus) == ({"count": b"%d" % len(good)} if good else {})
    assert [(x.offset, x.record) for x in await letters(bus)] == [(n, str(n)) for n in poison]
    await publish(bus, b"after")
    await run_until_drained(bus, Counting(), batch=batch)
    assert (await copies(bus))[-1] == b"%d:after" % (len(good) + 1)


async def test_a_dead_letter_tells_reason_and_place(bus: EmbeddedBus):
    await publish(bus, b"fine", b"\xff\x00 broken")
    await run_until_drained(bus, Counting(fails_on(b"\xff\x00 broken")))
    (letter,) = await letters(bus)
    assert (letter.stage, letter.topic, letter.partition, letter.offset) == ("counting", "articles", 0, 1)
    assert letter.error == "ValueError: cannot read this"
    assert (letter.encoding, base64.b64decode(letter.record)) == ("base64", b"\xff\x00 broken")


@pytest.mark.parametrize("said", ["\ud800 half a character", "x" * 1_000_000], ids=["not Unicode", "endless"])
async def test_whatever_the_error_says_the_dead_letter_can_be_written(bus: EmbeddedBus, said: str):
    await publish(bus, b"bad", b"good")
    await run_until_drained(bus, Counting(fails_on(b"bad", error=lambda: ValueError(said))))
    (letter,) = await letters(bus)
    assert letter.error.startswith("ValueError: ")
    assert len(letter.error) <= 2_000
    assert await copies(bus) == [b"1:good"]


async def test_a_result_that_cannot_be_published_makes_its_record_poison(bus: EmbeddedBus):
    def on(message: Message) -> Outgoing | None:
        return Outgoing(Topic.ANALYSES, "\ud800", b"") if message.value == b"bad" else None

    await publish(bus, b"1", b"bad", b"2")
    await run_until_drained(bus, Counting(on))
    assert await copies(bus) == [b"1:1", b"2:2"]
    assert [letter.record for letter in await letters(bus)] == ["bad"]


async def test_a_stage_that_fails_on_everything_stops_and_has_lost_nothing(bus: EmbeddedBus):
    records = [b"%d" % n for n in range(60)]
    await publish(bus, *records)
    broken = Counting(fails_on(*records[10:]))
    with pytest.raises(RiskwireError, match=rf"{MAX_REFUSED_IN_A_ROW} records in a row.*cannot read this"):
        async with asyncio.timeout(20):
            await run_stage(bus, broken, batch=50)
    assert await letters(bus) == []
    assert await lag_of(bus) == 50
    await run_until_drained(bus, Counting())
    assert await copies(bus) == [b"%d:%d" % (n + 1, n) for n in range(60)]


@pytest.mark.parametrize("batch", [1, 10])
async def test_failures_in_a_row_are_counted_over_batches(bus: EmbeddedBus, batch: int):
    records = [b"%d" % n for n in range(60)]
    await publish(bus, *records)
    with pytest.raises(RiskwireError, match="in a row"):
        async with asyncio.timeout(20):
            await run_stage(bus, Counting(fails_on(*records)), batch=batch)
    dead = [int(letter.record) for letter in await letters(bus)]
    assert dead == list(range(60 - await lag_of(bus))), "each record is a dead letter or still to be read"
    assert len(dead) < MAX_REFUSED_IN_A_ROW


async def test_a_record_that_passes_ends_the_row(bus: EmbeddedBus):
    records = [b"%d" % n for n in range(60)]
    poison = [value for n, value in enumerate(records) if n % 20]
    await publish(bus, *records)
    await run_until_drained(bus, Counting(fails_on(*poison)), batch=15)
    assert await copies(bus) == [b"1:0", b"2:20", b"3:40"]
    assert len(await letters(bus)) == 57


@pytest.mark.parametrize(
    "error",
    [DeviceError("no such device"), ExceptionGroup("in parallel", [ValueError("x"), DeviceError("no such device")])],
    ids=["plain", "in a group"],
)
async def test_an_error_of_the_machine_stops_the_stage_and_is_no_dead_letter(bus: EmbeddedBus, error: Exception):
    def fail() -> Exception:
        return error

    await publish(bus, b"1")
    with pytest.raises(DeviceError, match="no such device"):
        async with asyncio.timeout(20):
            await run_stage(bus, Counting(fails_on(b"1", error=fail)), batch=10)
    assert await letters(bus) == []
    assert await lag_of(bus) == 1


async def test_closing_the_bus_ends_an_idle_stage(bus: EmbeddedBus):
    running = asyncio.create_task(run_stage(bus, Counting(), batch=10, fetch_wait_s=60))
    await drained(bus, ["counting"])
    await bus.close()
    async with asyncio.timeout(20):
        await running


async def test_closing_the_bus_ends_a_stage_in_the_middle_of_a_batch_and_the_batch_is_taken_again(
    tmp_path: Path, bus: EmbeddedBus
):
    entered, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Counting):
        def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
            class SlowTask(CountingTask):
                async def process(self, batch: Sequence[Message]) -> Step:
                    entered.set()
                    await go_on.wait()
                    return await super().process(batch)

            return SlowTask(self, 0)

    await publish(bus, b"1")
    running = asyncio.create_task(run_stage(bus, Slow(), batch=10))
    async with asyncio.timeout(20):
        await entered.wait()
        await bus.close()
        go_on.set()
        await running
    again = await EmbeddedBus.open(tmp_path, BusSettings())
    try:
        await run_until_drained(again, Counting())
        assert await copies(again) == [b"1:1"]
    finally:
        await again.close()


async def test_closing_the_bus_ends_a_stage_that_waits_for_room(tmp_path: Path):
    bus = await EmbeddedBus.open(tmp_path, BusSettings(partitions=1, backlog=1))
    await anext(bus.assignments("sink", Topic.ANALYSES))
    async with asyncio.timeout(20):
        running = asyncio.create_task(run_stage(bus, Counting(), batch=1))
        await publish(bus, b"1")
        await publish(bus, b"2")
        while (await bus.records())[Topic.ANALYSES] < 1 or len(await bus.read(Topic.ARTICLES, 0, 1, 1)) < 1:
            await bus.changed(1)
        await bus.close()
        await running


async def test_a_worker_that_takes_over_ends_the_older_one_and_nothing_comes_twice(bus: EmbeddedBus):
    await publish(bus, *(b"%d" % n for n in range(30)))
    older = asyncio.create_task(run_stage(bus, Counting(), batch=2))
    await bus.changed(5)
    await run_until_drained(bus, Counting(), batch=5)
    async with asyncio.timeout(20):
        await older
    assert await copies(bus) == [b"%d:%d" % (n + 1, n) for n in range(30)]


async def test_cancelling_a_stage_is_a_normal_way_out(bus: EmbeddedBus):
    running = asyncio.create_task(run_stage(bus, Counting(), batch=10, fetch_wait_s=60))
    await drained(bus, ["counting"])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await running


async def test_a_failure_of_one_partition_ends_the_others_and_is_raised_as_it_is(tmp_path: Path):
    bus = await EmbeddedBus.open(tmp_path, BusSettings(partitions=4))
    try:
        await publish(bus, b"1")
        stage = Counting(fails_on(b"1", error=lambda: DeviceError("no such device")))
        with pytest.raises(DeviceError, match="no such device"):
            async with asyncio.timeout(20):
                await run_stage(bus, stage, batch=10, fetch_wait_s=60)
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("counting-")] == []
    finally:
        await bus.close()


async def test_a_bus_that_fails_stops_the_stage(bus: EmbeddedBus):
    await publish(bus, b"1")
    await bus._writer.run(lambda connection: connection.execute("DROP TABLE records"))
    with pytest.raises(BusError):
        async with asyncio.timeout(20):
            await run_stage(bus, Counting(), batch=10)


async def test_a_task_may_put_a_record_to_the_dead_letters_itself(bus: EmbeddedBus):
    def on(message: Message) -> Outgoing | None:
        return dead_letter("counting", message, SchemaError("not a record")) if message.value == b"bad" else None

    await publish(bus, b"1", b"bad", b"2")
    stage = Counting(on)
    await run_until_drained(bus, stage)
    assert [letter.error for letter in await letters(bus)] == ["SchemaError: not a record"]
    assert stage.batches == [3]


async def test_a_dead_letter_that_is_refused_is_cut_and_the_good_records_behind_it_are_taken(bus: EmbeddedBus):
    poison = b"bad" * 10_000
    await publish(bus, b"1", poison, *(b"%d" % n for n in range(2, 2 * MAX_REFUSED_IN_A_ROW)))
    await run_until_drained(RefusingBus(bus, {"dead-letters": 15_000}), Counting(fails_on(poison)), batch=100)
    assert await copies(bus) == [b"%d:%d" % (n, n) for n in range(1, 2 * MAX_REFUSED_IN_A_ROW)]
    (letter,) = await letters(bus)
    assert (letter.offset, letter.cut, letter.record[:6]) == (1, True, "badbad")


@pytest.mark.parametrize("poison", [1, 3, 9])
async def test_a_dead_letter_that_can_never_be_written_stops_nothing(bus: EmbeddedBus, poison: int):
    await publish(bus, *(b"%d" % n for n in range(10)))
    await run_until_drained(RefusingBus(bus, {"dead-letters": 10}), Counting(fails_on(b"%d" % poison)), batch=10)
    good = [n for n in range(10) if n != poison]
    assert await copies(bus) == [b"%d:%d" % (count, n) for count, n in enumerate(good, 1)]
    assert await letters(bus) == []


async def test_dead_letters_that_a_task_writes_itself_are_cut_too(bus: EmbeddedBus):
    def on(message: Message) -> Outgoing | None:
        return dead_letter("counting", message, SchemaError("no")) if message.value.startswith(b"bad") else None

    await publish(bus, b"1", b"bad" * 10_000, b"2")
    await run_until_drained(RefusingBus(bus, {"dead-letters": 15_000}), Counting(on))
    assert await copies(bus) == [b"1:1", b"3:2"]
    assert [(one.error, one.cut) for one in await letters(bus)] == [("SchemaError: no", True)]


async def test_a_stage_whose_every_step_is_refused_stops_and_has_lost_nothing(bus: EmbeddedBus):
    await publish(bus, *(b"%d" % n for n in range(60)))
    with pytest.raises(RiskwireError, match=r"in a row.*refuse"):
        async with asyncio.timeout(20):
            await run_stage(RefusingBus(bus, {STATE: 1}), Counting(), batch=50)
    assert await letters(bus) == []
    assert await lag_of(bus) == 60
