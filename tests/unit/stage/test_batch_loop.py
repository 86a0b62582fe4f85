"""The loop of a batch stage, on a real embedded bus."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pytest
from refusing import STATE, RefusingBus

from riskwire.bus import Bus, Message, Outgoing
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.errors import BusError, DeviceError, RiskwireError, SchemaError
from riskwire.pipeline import StageSpec, Topic
from riskwire.records import DeadLetter
from riskwire.settings import BusSettings
from riskwire.stage import MAX_REFUSED_IN_A_ROW, BatchStage, Step, Task, dead_letter, run_stage


class CountingStage:
    """Publishes `COUNT:VALUE` to analyses for each article, and keeps the count as its state.

    Attributes:
        batches: the size of each batch that a task has processed, also of failed ones.
    """

    spec = StageSpec("counting", Topic.ARTICLES, (Topic.ANALYSES,), "counting", "stage")

    def __init__(self, extra: Callable[[Message], Outgoing | None] = lambda message: None) -> None:
        """Prepares a stage without batches.

        Args:
            extra: called with each record; may return a result that replaces the copy, or raise an error.
        """
        self.extra = extra
        self.batches: list[int] = []

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        return CountingTask(self, int(state.get("count", b"0")))


class CountingTask:
    def __init__(self, stage: CountingStage, count: int) -> None:
        self.stage = stage
        self.count = count

    async def process(self, batch: Sequence[Message]) -> Step:
        """Counts each record, and publishes `COUNT:VALUE` or what `extra` returns for it instead."""
        self.stage.batches.append(len(batch))
        step = Step()
        for message in batch:
            self.count += 1  # before the error of `extra`: the count of a failed batch must be dropped
            extra = self.stage.extra(message)
            copy = b"%d:%s" % (self.count, message.value)
            step.results.append(extra or Outgoing(Topic.ANALYSES, None, copy, message.partition))
        step.state["count"] = b"%d" % self.count
        return step


def fails_on(
    *values: bytes, error: Callable[[], BaseException] = lambda: ValueError("cannot read this")
) -> Callable[[Message], None]:
    """Returns a function that raises a new error of `error()` for each record with one of the values."""

    def fail(message: Message) -> None:
        if message.value in values:
            raise error()

    return fail


def numbered(first: int, end: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, end)]


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[EmbeddedBus]:
    opened = await EmbeddedBus.open(tmp_path, BusSettings(partitions=1))
    yield opened
    await opened.close()


async def publish(bus: EmbeddedBus, *records: bytes) -> None:
    async with bus.publisher("source") as publisher:
        await publisher.publish([Outgoing(Topic.ARTICLES, None, value, 0) for value in records], {})


async def run_until_drained(bus: Bus, stage: BatchStage, batch: int = 10) -> None:
    """Runs a stage in steps of at most `batch` records until it has read everything, then cancels it."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(run_stage(bus, stage, batch=batch))
        await wait_until_drained(bus, [stage.spec.name])
        running.cancel()


async def copies(bus: EmbeddedBus) -> list[bytes]:
    return [message.value for message in await bus.read(Topic.ANALYSES, 0, 0, 10_000)]


async def dead_letters(bus: EmbeddedBus) -> list[DeadLetter]:
    messages = await bus.read(Topic.DEAD_LETTERS, 0, 0, 10_000)
    return [DeadLetter.model_validate_json(message.value) for message in messages]


async def state_of(bus: EmbeddedBus) -> dict[str, bytes]:
    return await (await anext(bus.assignments("counting", Topic.ARTICLES))).restore()


async def lag_of(bus: EmbeddedBus) -> int:
    return sum(lag.records for lag in await bus.lag() if lag.group == "counting")


async def test_every_record_is_processed_once_and_in_order(bus: EmbeddedBus):
    """The stage publishes `COUNT:VALUE` for each record, and keeps the count as its state."""
    await publish(bus, *numbered(0, 100))
    await run_until_drained(bus, CountingStage(), batch=7)
    assert await copies(bus) == [b"%d:%d" % (number + 1, number) for number in range(100)]
    assert await state_of(bus) == {"count": b"100"}


@pytest.mark.parametrize("batch", [1, 3, 10])
@pytest.mark.parametrize("refused", [[0], [5], [9], [0, 1, 2], [2, 5, 6, 9], list(range(10))])
async def test_a_refused_record_becomes_a_dead_letter_and_changes_nothing_else(
    bus: EmbeddedBus, refused: list[int], batch: int
):
    """The stage publishes `COUNT:VALUE` for each record that it accepts, and keeps the count as its state.

    Args:
        refused: the numbers of the records on which the stage raises an error.
        batch: the most records of one step.
    """
    await publish(bus, *numbered(0, 10))
    await run_until_drained(bus, CountingStage(fails_on(*(b"%d" % number for number in refused))), batch=batch)
    good = [number for number in range(10) if number not in refused]
    assert await copies(bus) == [b"%d:%d" % (count, number) for count, number in enumerate(good, 1)]
    assert await state_of(bus) == ({"count": b"%d" % len(good)} if good else {})
    offsets_and_records = [(letter.offset, letter.record) for letter in await dead_letters(bus)]
    assert offsets_and_records == [(number, str(number)) for number in refused]
    await publish(bus, b"after")
    await run_until_drained(bus, CountingStage(), batch=batch)
    assert (await copies(bus))[-1] == b"%d:after" % (len(good) + 1)


async def test_a_dead_letter_contains_error_place_and_record(bus: EmbeddedBus):
    await publish(bus, b"fine", b"\xff\x00 broken")
    await run_until_drained(bus, CountingStage(fails_on(b"\xff\x00 broken")))
    (letter,) = await dead_letters(bus)
    assert (letter.stage, letter.topic, letter.partition, letter.offset) == ("counting", "articles", 0, 1)
    assert letter.error == "ValueError: cannot read this"
    assert (letter.encoding, base64.b64decode(letter.record)) == ("base64", b"\xff\x00 broken")


@pytest.mark.parametrize("text", ["\ud800 half a character", "x" * 1_000_000], ids=["not Unicode", "endless"])
async def test_an_error_with_any_text_can_be_written_to_a_dead_letter(bus: EmbeddedBus, text: str):
    """The text is cut to 2,000 characters and made valid Unicode."""
    await publish(bus, b"bad", b"good")
    await run_until_drained(bus, CountingStage(fails_on(b"bad", error=lambda: ValueError(text))))
    (letter,) = await dead_letters(bus)
    assert letter.error.startswith("ValueError: ")
    assert len(letter.error) <= 2_000
    assert await copies(bus) == [b"1:good"]


async def test_a_record_whose_result_cannot_be_published_becomes_a_dead_letter(bus: EmbeddedBus):
    """The key of the result is half a surrogate pair, which UTF-8 cannot encode."""

    def extra(message: Message) -> Outgoing | None:
        return Outgoing(Topic.ANALYSES, "\ud800", b"") if message.value == b"bad" else None

    await publish(bus, b"1", b"bad", b"2")
    await run_until_drained(bus, CountingStage(extra))
    assert await copies(bus) == [b"1:1", b"2:2"]
    assert [letter.record for letter in await dead_letters(bus)] == ["bad"]


async def test_a_stage_that_fails_on_every_record_stops_without_loss(bus: EmbeddedBus):
    """The first ten records are accepted. The dead letters of the next 25 are not committed, because the stage stops.

    A later run with a sound stage processes all of the remaining 50.
    """
    records = numbered(0, 60)
    await publish(bus, *records)
    broken = CountingStage(fails_on(*records[10:]))
    with pytest.raises(RiskwireError, match=rf"{MAX_REFUSED_IN_A_ROW} records in a row.*cannot read this"):
        async with asyncio.timeout(20):
            await run_stage(bus, broken, batch=50)
    assert await dead_letters(bus) == []
    assert await lag_of(bus) == 50
    await run_until_drained(bus, CountingStage())
    assert await copies(bus) == [b"%d:%d" % (number + 1, number) for number in range(60)]


@pytest.mark.parametrize("batch", [1, 10])
async def test_refused_records_in_a_row_are_counted_over_batches(bus: EmbeddedBus, batch: int):
    """The stage fails on each of 60 records, and stops before it has read them all."""
    records = numbered(0, 60)
    await publish(bus, *records)
    with pytest.raises(RiskwireError, match="in a row"):
        async with asyncio.timeout(20):
            await run_stage(bus, CountingStage(fails_on(*records)), batch=batch)
    records_dead = [int(letter.record) for letter in await dead_letters(bus)]
    assert records_dead == list(range(60 - await lag_of(bus))), "each record is a dead letter or still to be read"
    assert len(records_dead) < MAX_REFUSED_IN_A_ROW


async def test_an_accepted_record_ends_the_row_of_refused_records(bus: EmbeddedBus):
    """Three of 60 records are accepted, so at most 19 are refused in a row: fewer than the 25 that stop the stage."""
    records = numbered(0, 60)
    refused = [value for number, value in enumerate(records) if number % 20]
    await publish(bus, *records)
    await run_until_drained(bus, CountingStage(fails_on(*refused)), batch=15)
    assert await copies(bus) == [b"1:0", b"2:20", b"3:40"]
    assert len(await dead_letters(bus)) == 57


@pytest.mark.parametrize(
    "error",
    [DeviceError("no such device"), ExceptionGroup("in parallel", [ValueError("x"), DeviceError("no such device")])],
    ids=["alone", "in a group"],
)
async def test_a_fatal_error_stops_the_stage_and_writes_no_dead_letter(bus: EmbeddedBus, error: Exception):
    """An error of the device is one of the stage, not of the record, also within a group of errors."""

    def fail() -> Exception:
        return error

    await publish(bus, b"1")
    with pytest.raises(DeviceError, match="no such device"):
        async with asyncio.timeout(20):
            await run_stage(bus, CountingStage(fails_on(b"1", error=fail)), batch=10)
    assert await dead_letters(bus) == []
    assert await lag_of(bus) == 1


async def test_a_machine_without_a_free_thread_stops_the_stage_and_condemns_no_record(bus: EmbeddedBus):
    """The good records stay unread, and are processed after a restart."""
    await publish(bus, b"1", b"2")
    with pytest.raises(RuntimeError, match="new thread"):
        async with asyncio.timeout(20):
            await run_stage(
                bus, CountingStage(fails_on(b"1", error=lambda: RuntimeError("can't start new thread"))), batch=10
            )
    assert await dead_letters(bus) == []
    assert await lag_of(bus) == 2


async def test_closing_the_bus_ends_an_idle_stage(bus: EmbeddedBus):
    running = asyncio.create_task(run_stage(bus, CountingStage(), batch=10, fetch_timeout_s=60))
    await wait_until_drained(bus, ["counting"])
    await bus.close()
    async with asyncio.timeout(20):
        await running


async def test_a_batch_interrupted_by_closing_the_bus_is_processed_after_a_restart(tmp_path: Path, bus: EmbeddedBus):
    """The bus is closed while the task works on the batch; the step is then not committed."""
    entered, proceed = asyncio.Event(), asyncio.Event()

    class SlowStage(CountingStage):
        def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
            """Returns a task that signals when it has begun a batch, and then waits for `proceed`."""

            class SlowTask(CountingTask):
                async def process(self, batch: Sequence[Message]) -> Step:
                    entered.set()
                    await proceed.wait()
                    return await super().process(batch)

            return SlowTask(self, 0)

    await publish(bus, b"1")
    running = asyncio.create_task(run_stage(bus, SlowStage(), batch=10))
    async with asyncio.timeout(20):
        await entered.wait()
        await bus.close()
        proceed.set()
        await running
    reopened = await EmbeddedBus.open(tmp_path, BusSettings())
    try:
        await run_until_drained(reopened, CountingStage())
        assert await copies(reopened) == [b"1:1"]
    finally:
        await reopened.close()


async def test_closing_the_bus_ends_a_stage_paused_by_backpressure(tmp_path: Path):
    """Publishers wait when a group has more than one unread record, and the group `sink` never reads the results.

    The test closes the bus when one result is published and the second article waits to be read.
    """
    bus = await EmbeddedBus.open(tmp_path, BusSettings(partitions=1, backlog=1))
    await anext(bus.assignments("sink", Topic.ANALYSES))
    async with asyncio.timeout(20):
        running = asyncio.create_task(run_stage(bus, CountingStage(), batch=1))
        await publish(bus, b"1")
        await publish(bus, b"2")
        while (await bus.records())[Topic.ANALYSES] < 1 or len(await bus.read(Topic.ARTICLES, 0, 1, 1)) < 1:
            await bus.wait_for_change(1)
        await bus.close()
        await running


async def test_a_new_worker_fences_the_old_one_and_no_result_is_repeated(bus: EmbeddedBus):
    """A second worker joins the group after the first one has begun; the first then ends without an error."""
    await publish(bus, *numbered(0, 30))
    older = asyncio.create_task(run_stage(bus, CountingStage(), batch=2))
    await bus.wait_for_change(5)
    await run_until_drained(bus, CountingStage(), batch=5)
    async with asyncio.timeout(20):
        await older
    assert await copies(bus) == [b"%d:%d" % (number + 1, number) for number in range(30)]


async def test_a_stage_can_be_cancelled(bus: EmbeddedBus):
    running = asyncio.create_task(run_stage(bus, CountingStage(), batch=10, fetch_timeout_s=60))
    await wait_until_drained(bus, ["counting"])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await running


async def test_a_failure_on_one_partition_ends_the_others_and_is_raised_without_a_group(tmp_path: Path):
    """Three loops wait for records when the loop of the fourth partition fails. No task is left.

    The error is raised itself, not within an ExceptionGroup.
    """
    bus = await EmbeddedBus.open(tmp_path, BusSettings(partitions=4))
    try:
        await publish(bus, b"1")
        stage = CountingStage(fails_on(b"1", error=lambda: DeviceError("no such device")))
        with pytest.raises(DeviceError, match="no such device"):
            async with asyncio.timeout(20):
                await run_stage(bus, stage, batch=10, fetch_timeout_s=60)
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("counting-")] == []
    finally:
        await bus.close()


async def test_a_bus_error_stops_the_stage(bus: EmbeddedBus):
    """The table of records is dropped, so that the bus cannot read."""
    await publish(bus, b"1")
    await bus._writer.run(lambda connection: connection.execute("DROP TABLE records"))
    with pytest.raises(BusError):
        async with asyncio.timeout(20):
            await run_stage(bus, CountingStage(), batch=10)


async def test_a_task_can_write_dead_letters_itself(bus: EmbeddedBus):
    """A record of which the task makes a dead letter has not failed: the batch of three is not repeated."""

    def extra(message: Message) -> Outgoing | None:
        return dead_letter("counting", message, SchemaError("not a record")) if message.value == b"bad" else None

    await publish(bus, b"1", b"bad", b"2")
    stage = CountingStage(extra)
    await run_until_drained(bus, stage)
    assert [letter.error for letter in await dead_letters(bus)] == ["SchemaError: not a record"]
    assert stage.batches == [3]


async def test_a_refused_dead_letter_is_cut_and_later_records_are_processed(bus: EmbeddedBus):
    """The bus accepts dead letters up to 15,000 bytes, and the second record, on which the stage fails, has 30,000."""
    large = b"bad" * 10_000
    end = 2 * MAX_REFUSED_IN_A_ROW
    await publish(bus, b"1", large, *numbered(2, end))
    await run_until_drained(RefusingBus(bus, {"dead-letters": 15_000}), CountingStage(fails_on(large)), batch=100)
    assert await copies(bus) == [b"%d:%d" % (number, number) for number in range(1, end)]
    (letter,) = await dead_letters(bus)
    assert (letter.offset, letter.cut, letter.record[:6]) == (1, True, "badbad")


@pytest.mark.parametrize("refused", [1, 3, 9])
async def test_a_dead_letter_that_is_never_accepted_does_not_stop_the_stage(bus: EmbeddedBus, refused: int):
    """The bus accepts dead letters up to 10 bytes, which is too few for any."""
    await publish(bus, *numbered(0, 10))
    await run_until_drained(RefusingBus(bus, {"dead-letters": 10}), CountingStage(fails_on(b"%d" % refused)), batch=10)
    good = [number for number in range(10) if number != refused]
    assert await copies(bus) == [b"%d:%d" % (count, number) for count, number in enumerate(good, 1)]
    assert await dead_letters(bus) == []


async def test_dead_letters_of_a_task_are_cut_too(bus: EmbeddedBus):
    """The task itself makes a dead letter of a record of 30,000 bytes and counts it; the bus accepts 15,000."""

    def extra(message: Message) -> Outgoing | None:
        return dead_letter("counting", message, SchemaError("no")) if message.value.startswith(b"bad") else None

    await publish(bus, b"1", b"bad" * 10_000, b"2")
    await run_until_drained(RefusingBus(bus, {"dead-letters": 15_000}), CountingStage(extra))
    assert await copies(bus) == [b"1:1", b"3:2"]
    assert [(letter.error, letter.cut) for letter in await dead_letters(bus)] == [("SchemaError: no", True)]


async def test_a_stage_stops_without_loss_when_every_step_is_refused(bus: EmbeddedBus):
    """The bus accepts state entries of one byte at most, so that no step of the stage can be committed."""
    await publish(bus, *numbered(0, 60))
    with pytest.raises(RiskwireError, match=r"in a row.*refuse"):
        async with asyncio.timeout(20):
            await run_stage(RefusingBus(bus, {STATE: 1}), CountingStage(), batch=50)
    assert await dead_letters(bus) == []
    assert await lag_of(bus) == 60
