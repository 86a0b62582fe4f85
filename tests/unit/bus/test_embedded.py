"""The embedded bus passes the contract of every bus, and keeps the promises of its file."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from backpressure_contract import BackpressureContract
from contract import BusContract, BusFactory, join_group, numbered, publish, read_all, soon, values
from structlog.testing import capture_logs

from riskwire import metrics
from riskwire.bus import Outgoing
from riskwire.bus.embedded import bus as embedded
from riskwire.bus.embedded import schema, steps
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.bus.embedded.ledger import TRIM_CHUNK
from riskwire.bus.embedded.lock import lock_data_dir, stages_run
from riskwire.bus.open import open_bus
from riskwire.errors import BusError, BusVersionError, InUseError, SettingsError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, Settings


@pytest.fixture
def bus_factory(open_embedded) -> BusFactory:
    return open_embedded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "bus.sqlite"


class TestEmbeddedBus(BusContract, BackpressureContract):
    """The embedded bus runs the contract with polling switched off, so that only wakeups can end a wait."""

    @pytest.fixture(autouse=True)
    def _without_polling(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lets the bus look only once an hour for changes by other processes and for running readers."""
        monkeypatch.setattr(embedded, "POLL_S", 3_600)
        monkeypatch.setattr(steps, "_CHECK_READERS_S", 3_600)


async def test_the_file_keeps_the_partitions_it_was_created_with(open_embedded):
    """The setting has 5 partitions at the second opening, the file 3: a warning is logged.

    The topics `commands` and `dead-letters` always have one partition.
    """
    bus = await open_embedded(partitions=3)
    await bus.close()
    with capture_logs() as logs:
        bus = await open_embedded(partitions=5)
    assert [bus.partitions(topic) for topic in Topic] == [3, 3, 3, 3, 3, 3, 1, 3, 1]
    assert [(entry["log_level"], entry["stored"], entry["configured"]) for entry in logs] == [("warning", 3, 5)]


async def test_processed_records_beyond_the_limit_are_trimmed_and_still_counted(open_embedded):
    """Trimming deletes the oldest records that every group has read, down to `keep_processed`, in chunks.

    `records` and the metric count them. A group that joins later reads only the remaining ones.
    """
    bus = await open_embedded(keep_processed=100, backlog=100_000, partitions=1)
    assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
    trimmed = metrics.TRIMMED_RECORDS.labels(topic="articles")._value.get()
    for start in range(0, 5_000, 500):
        await publish(bus, numbered(Topic.ARTICLES, 500, start=start))
        await assignment.commit(start + 500, [], {})
    remaining = await read_all(bus, Topic.ARTICLES)
    assert 100 <= len(remaining) <= 100 + TRIM_CHUNK
    assert values(remaining) == [b"%d" % n for n in range(5_000 - len(remaining), 5_000)]
    assert (await bus.records())[Topic.ARTICLES] == 5_000
    assert metrics.TRIMMED_RECORDS.labels(topic="articles")._value.get() - trimmed == 5_000 - len(remaining)
    assert (await join_group(bus, "late", Topic.ARTICLES))[0].owner is not None
    assert {lag.group: lag.records for lag in await bus.lag()} == {"infer": 0, "late": len(remaining)}


async def test_unread_records_of_a_group_are_kept_until_the_group_is_forgotten(open_embedded):
    """`forget` removes a group with its position: its assignment is fenced, and its unread records may be trimmed.

    With `keep_processed=0`, the steps of the other group then trim all but less than a chunk.
    """
    bus = await open_embedded(keep_processed=0, backlog=100_000, partitions=1)
    fast = (await join_group(bus, "fast", Topic.ARTICLES))[0]
    slow = (await join_group(bus, "slow", Topic.ARTICLES))[0]
    await publish(bus, numbered(Topic.ARTICLES, 2_000))
    await fast.commit(2_000, [], {})
    assert len(await read_all(bus, Topic.ARTICLES)) == 2_000
    await bus.forget("slow")
    assert {lag.group for lag in await bus.lag()} == {"fast"}
    with pytest.raises(BusError):
        await slow.commit(1, [], {})
    for _ in range(3):
        await fast.commit(2_000, [], {})
    assert len(await read_all(bus, Topic.ARTICLES)) < TRIM_CHUNK


async def test_a_topic_without_readers_is_trimmed(open_embedded):
    """All records count as read. At most a chunk and one batch of 300 remain beyond `keep_processed`."""
    bus = await open_embedded(keep_processed=10, partitions=1)
    for start in range(0, 3_000, 300):
        await publish(bus, numbered(Topic.TRENDS, 300, start=start))
    assert 10 <= len(await read_all(bus, Topic.TRENDS)) <= 10 + TRIM_CHUNK + 300


async def test_the_file_stays_small_after_many_records(open_embedded, file: Path):
    """After 20,000 records (20 MB) were trimmed, the file shrinks below 5 MB and stops growing.

    The write-ahead log (`bus.sqlite-wal`) stays bounded, too.
    """
    bus = await open_embedded(keep_processed=50, backlog=100_000, partitions=1)
    assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
    article = b"x" * 1_000
    end = 0

    async def publish_and_read(records: int) -> None:
        """Publishes records of 1,000 bytes and reads them all, 250 in a step."""
        nonlocal end
        await publish(bus, [Outgoing(Topic.ARTICLES, None, article, 0)] * records)
        for _ in range(0, records, 250):
            end += 250
            await assignment.commit(end, [], {})

    await publish_and_read(20_000)  # a backlog that is read late
    sizes = []
    for _ in range(40):
        await publish_and_read(500)
        sizes.append(_pages(file) * 4096)
        assert _size(file.with_name("bus.sqlite-wal")) < 30_000_000
    assert sizes[-1] < 5_000_000, sizes
    assert sizes[-1] <= sizes[-10], "the file stops growing"
    assert _size(file.with_name("bus.sqlite-wal")) < 5_000_000


async def test_a_long_reader_does_not_block_steps(open_embedded, file: Path):
    """While another connection holds a read transaction, steps succeed and the write-ahead log grows.

    It becomes small again after the transaction has ended.
    """
    bus = await open_embedded(partitions=1)
    await publish(bus, numbered(Topic.TRENDS, 1))
    reader = sqlite3.connect(file)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM records").fetchall()
    for _ in range(100):
        await publish(bus, [Outgoing(Topic.TRENDS, None, b"x" * 100_000, 0)])
    assert _size(file.with_name("bus.sqlite-wal")) > 5_000_000
    reader.close()
    for _ in range(50):
        await publish(bus, [Outgoing(Topic.TRENDS, None, b"x" * 100_000, 0)])
    assert _size(file.with_name("bus.sqlite-wal")) < 5_000_000
    assert (await bus.records())[Topic.TRENDS] == 151


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)


def _files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def _size(file: Path) -> int:
    return file.stat().st_size


def _pages(file: Path) -> int:
    with sqlite3.connect(file) as connection:
        return connection.execute("PRAGMA page_count").fetchone()[0]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (schema.VERSION + 1, r"bus\.sqlite.*newer riskwire.*Upgrade"),
        (1, r"bus\.sqlite.*riskwire 0\.1 or .*\(version 1.*another directory with --data.*replay an archive"),
    ],
    ids=["newer", "of 0.1"],
)
async def test_a_bus_of_another_version_is_refused_and_not_changed(
    open_embedded, file: Path, version: int, message: str
):
    """`user_version` of the file is the version of its schema. Each file of the directory keeps its bytes.

    Args:
        version: the version that is written into the file.
        message: what the error says.
    """
    await (await open_embedded()).close()
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA user_version={version}")
    connection.close()
    before = _files(file.parent)
    with pytest.raises(BusVersionError, match=message):
        await open_embedded()
    assert _files(file.parent) == before


@pytest.mark.parametrize("content", [b"not a database, but long enough to hold a header " * 40, b"short"])
async def test_a_file_that_is_no_database_is_refused_by_name_and_not_changed(open_embedded, file: Path, content: bytes):
    _write(file, content)
    with pytest.raises(BusError, match=r"bus\.sqlite.*not a riskwire bus"):
        await open_embedded()
    assert _files(file.parent) == {file.name: content}


async def test_a_database_of_another_program_is_refused_and_not_changed(open_embedded, file: Path):
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()
    before = _files(file.parent)
    with pytest.raises(BusError, match=r"bus\.sqlite.*not a riskwire bus"):
        await open_embedded()
    assert _files(file.parent) == before


async def test_a_file_damaged_in_the_middle_is_a_bus_error(open_embedded, file: Path):
    """All but the first three pages of the file are overwritten. Opening the bus or publishing raises."""
    bus = await open_embedded(partitions=1)
    await publish(bus, [Outgoing(Topic.ARTICLES, None, b"x" * 500, 0)] * 2_000)
    await bus.close()
    content = _files(file.parent)[file.name]
    _write(file, content[: 4096 * 3] + b"\xff" * (len(content) - 4096 * 3))
    with pytest.raises(BusError, match=r"bus\.sqlite"):
        await publish(await open_embedded(partitions=1), numbered(Topic.ARTICLES, 1))


async def test_a_data_directory_that_cannot_be_created_is_a_bus_error(tmp_path: Path):
    """In one case a parent of the directory is a file, in the other `bus.sqlite` is a directory."""
    (tmp_path / "file").touch()
    with pytest.raises(BusError, match="file"):
        await EmbeddedBus.open(tmp_path / "file" / "data", BusSettings())
    (tmp_path / "data" / "bus.sqlite").mkdir(parents=True)
    with pytest.raises(BusError, match=r"bus\.sqlite"):
        await EmbeddedBus.open(tmp_path / "data", BusSettings())


async def test_a_full_disk_fails_the_whole_step_and_the_bus_continues_once_there_is_space(open_embedded):
    """A limit of the pages of the database plays the full disk. The failed step changes neither results nor state.

    The record is fetched again, and the same step succeeds once the limit is lifted.
    """
    bus = await open_embedded(backlog=100_000)
    assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
    await publish(bus, numbered(Topic.ARTICLES, 1))
    limit = await bus._writer.run(lambda c: c.execute("PRAGMA max_page_count").fetchone()[0])
    await bus._writer.run(lambda c: c.execute("PRAGMA max_page_count=1").fetchone())
    large = [Outgoing(Topic.ANALYSES, None, b"x" * 100_000, 0)] * 20
    with pytest.raises(BusError, match="disk is full"):
        await assignment.commit(1, large, {"count": b"1"})
    assert await read_all(bus, Topic.ANALYSES) == []
    assert await assignment.restore() == {}
    assert len(await soon(assignment.fetch(1, 5))) == 1
    await bus._writer.run(lambda c: c.execute(f"PRAGMA max_page_count={limit}").fetchone())
    await assignment.commit(1, large, {"count": b"1"})
    assert len(await read_all(bus, Topic.ANALYSES)) == 20


async def test_a_read_only_bus_reports_that_it_cannot_be_written(open_embedded):
    bus = await open_embedded()
    await bus._writer.run(lambda c: c.execute("PRAGMA query_only=ON"))
    with pytest.raises(BusError, match="cannot be written"):
        await publish(bus, numbered(Topic.ARTICLES, 1))


@pytest.mark.parametrize("position", [-1, 1, 4])
async def test_a_position_before_the_committed_one_or_beyond_the_end_is_refused(open_embedded, position: int):
    """Three records were published, and the committed position is 2: only 2 and 3 would be accepted."""
    bus = await open_embedded()
    await publish(bus, numbered(Topic.ARTICLES, 3))
    assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
    await assignment.commit(2, [], {})
    with pytest.raises(BusError, match="position"):
        await assignment.commit(position, [], {"moved": b"yes"})
    assert await assignment.restore() == {}


async def test_the_assignments_of_a_replaced_worker_end(open_embedded):
    """The iterator of the first worker, which waits for another partition, ends when a second worker joins."""
    bus = await open_embedded()
    joined = bus.assignments("infer", Topic.ARTICLES)
    for _ in range(bus.partitions(Topic.ARTICLES)):
        await anext(joined)
    waiting = asyncio.create_task(anext(joined, None))
    await join_group(bus, "infer", Topic.ARTICLES)
    assert await soon(waiting) is None


@pytest.mark.parametrize(("taken_over", "expected"), [(False, [b"2"]), (True, [])])
async def test_a_batch_in_flight_is_dropped_when_the_position_moves(open_embedded, taken_over, expected):
    """A fetch waits for the reader thread, which the test blocks, while the position moves.

    Args:
        taken_over: whether another worker joins meanwhile; otherwise the same worker commits position 2.
        expected: the values that the fetch returns: what follows the position, or nothing after a takeover.
    """
    bus = await open_embedded()
    await publish(bus, numbered(Topic.ARTICLES, 3))
    assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
    await assignment.restore()
    release = threading.Event()
    blocking = asyncio.create_task(bus._reader.run(lambda _: release.wait(20)))
    await asyncio.sleep(0)
    fetching = asyncio.create_task(assignment.fetch(3, 5))
    await asyncio.sleep(0)
    try:
        if taken_over:
            await join_group(bus, "infer", Topic.ARTICLES)
        else:
            await assignment.commit(2, [], {})
    finally:
        release.set()
    assert values(await soon(fetching)) == expected
    assert await blocking


async def test_two_buses_opened_at_once_share_one_file(open_embedded):
    """Both create the file at the same time, and a record of each is in it."""
    first, second = await asyncio.gather(open_embedded(), open_embedded())
    await asyncio.gather(publish(first, numbered(Topic.FEEDS, 1)), publish(second, numbered(Topic.FEEDS, 1), "second"))
    assert (await first.records())[Topic.FEEDS] == 2


class TestBetweenProcesses:
    """Two buses on one file share no memory, like two processes."""

    async def test_a_record_of_another_process_wakes_a_fetch(self, open_embedded):
        """A fetch that may wait for 60 s returns soon after the other bus has published."""
        local, remote = await open_embedded(), await open_embedded()
        assignment = (await join_group(local, "infer", Topic.ARTICLES))[0]
        waiting = asyncio.create_task(assignment.fetch(1, 60))
        await publish(remote, numbered(Topic.ARTICLES, 1))
        assert values(await soon(waiting)) == [b"0"]

    async def test_a_worker_of_another_process_fences_this_one(self, open_embedded):
        """The stale worker cannot commit, and its result is not published; the fresh one can."""
        local, remote = await open_embedded(), await open_embedded()
        await publish(local, numbered(Topic.ARTICLES, 1))
        stale = (await join_group(local, "infer", Topic.ARTICLES))[0]
        fresh = (await join_group(remote, "infer", Topic.ARTICLES))[0]
        with pytest.raises(BusError, match="taken over"):
            await stale.commit(1, numbered(Topic.ANALYSES, 1), {})
        await fresh.commit(1, [], {})
        assert (await local.records())[Topic.ANALYSES] == 0

    async def test_an_idle_worker_notices_that_another_process_has_taken_over(self, open_embedded):
        """A waiting fetch ends without records, and the assignment is revoked."""
        local, remote = await open_embedded(), await open_embedded()
        stale = (await join_group(local, "infer", Topic.ARTICLES))[0]
        waiting = asyncio.create_task(stale.fetch(1, 60))
        await join_group(remote, "infer", Topic.ARTICLES)
        assert list(await soon(waiting)) == []
        assert stale.revoked

    async def test_a_publisher_of_another_process_fences_this_one(self, open_embedded):
        """The publisher that was opened last may publish; the other raises."""
        local, remote = await open_embedded(), await open_embedded()
        async with local.publisher("ingest") as stale, remote.publisher("ingest") as fresh:
            with pytest.raises(BusError, match="taken over"):
                await stale.publish(numbered(Topic.ARTICLES, 1), {})
            await fresh.publish(numbered(Topic.ARTICLES, 1), {})

    async def test_a_writer_waits_for_readers_of_a_process_that_holds_the_directory(self, open_embedded, tmp_path):
        """The lock of the directory shows that a process runs stages. The metric counts the seconds of waiting."""
        local, remote = await open_embedded(backlog=2), await open_embedded(backlog=2)
        with lock_data_dir(tmp_path / "data"):
            reader = (await join_group(remote, "infer", Topic.ARTICLES))[0]
            waited = metrics.BACKPRESSURE_SECONDS.labels(topic="articles")._value.get()
            async with local.publisher("replay") as publisher:
                await publisher.publish(numbered(Topic.ARTICLES, 2), {})
                waiting = asyncio.create_task(publisher.publish(numbered(Topic.ARTICLES, 1), {}))
                assert not (await asyncio.wait([waiting], timeout=0.5))[0]
                await reader.commit(2, [], {})
                await soon(waiting)
            assert metrics.BACKPRESSURE_SECONDS.labels(topic="articles")._value.get() - waited > 0.4

    async def test_a_writer_does_not_wait_when_no_process_runs_the_readers(self, open_embedded, tmp_path):
        """The group has unread records, but its process has ended: the writer exceeds the backlog and logs it once."""
        remote = await open_embedded(backlog=2)
        await join_group(remote, "infer", Topic.ARTICLES)
        await remote.close()
        local = await open_embedded(backlog=2)
        with capture_logs() as logs:
            await publish(local, numbered(Topic.ARTICLES, 2))
            await publish(local, numbered(Topic.ARTICLES, 2))
        assert (await local.records())[Topic.ARTICLES] == 4
        assert [entry["event"] for entry in logs] == ["no process runs the stages: writing beyond bus.backlog"]

    async def test_a_waiting_writer_continues_when_the_reading_process_ends(self, open_embedded, tmp_path):
        """The lock of the directory is released before the group has read: waiting for it would never end."""
        local, remote = await open_embedded(backlog=2), await open_embedded(backlog=2)
        await join_group(remote, "infer", Topic.ARTICLES)
        async with local.publisher("replay") as publisher:
            with lock_data_dir(tmp_path / "data"):
                await publisher.publish(numbered(Topic.ARTICLES, 2), {})
                waiting = asyncio.create_task(publisher.publish(numbered(Topic.ARTICLES, 1), {}))
                assert not (await asyncio.wait([waiting], timeout=0.2))[0]
            await soon(waiting)


class TestLock:
    def test_a_locked_directory_is_refused_and_the_error_names_the_process(self, tmp_path: Path):
        """A child process holds the lock until it is killed; afterwards this process can take it.

        `stages_run` returns whether the lock is held. A second lock in the same process is refused as well.
        """
        child = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"held\n"
            assert stages_run(tmp_path)
            with pytest.raises(InUseError, match=rf"process {child.pid}.*Stop that process"), lock_data_dir(tmp_path):
                pass
        finally:
            child.kill()
            child.communicate(timeout=20)
        assert not stages_run(tmp_path)
        with lock_data_dir(tmp_path):
            assert stages_run(tmp_path)
            with pytest.raises(InUseError), lock_data_dir(tmp_path):
                pass
        assert not stages_run(tmp_path)

    def test_a_missing_directory_is_created(self, tmp_path: Path):
        """`lock_data_dir` creates the directory and its parents; `stages_run` is False for a missing one."""
        assert not stages_run(tmp_path / "new")
        with lock_data_dir(tmp_path / "new" / "data"):
            assert stages_run(tmp_path / "new" / "data")

    def test_a_directory_that_cannot_be_created_is_a_bus_error(self, tmp_path: Path):
        (tmp_path / "file").touch()
        with pytest.raises(BusError, match="file"), lock_data_dir(tmp_path / "file"):
            pass


_HOLD = """
import sys
from pathlib import Path
from riskwire.bus.embedded.lock import lock_data_dir
with lock_data_dir(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


class TestOpenBus:
    async def test_embedded_is_the_bus_of_the_data_directory(self, tmp_path: Path):
        """Without a URL in the settings, `open_bus` creates `bus.sqlite` in the data directory."""
        bus = await open_bus(Settings(data=tmp_path / "data", bus=BusSettings(partitions=4)))
        try:
            assert bus.partitions(Topic.ARTICLES) == 4
        finally:
            await bus.close()
        assert (tmp_path / "data" / "bus.sqlite").exists()

    async def test_other_buses_are_refused_by_name(self, tmp_path: Path):
        with pytest.raises(SettingsError, match=r"bus\.url.*allowed are"):
            await open_bus(Settings(data=tmp_path / "data", bus=BusSettings(url="redis://x")))
        assert not (tmp_path / "data").exists()
