"""`kill -9` at any moment loses no record and repeats none."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from copy_stage import program_environment

from riskwire.bus import Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings

RECORDS = 40_000
KILLS = 20
SETTINGS = BusSettings(keep_processed=1_000_000)


def _child(data: Path, mode: str) -> subprocess.Popen[bytes]:
    """Starts the program that copies articles: until it is killed (`run`), or until all are copied (`drain`)."""
    program = Path(__file__).with_name("bus_copy_stage.py")
    command = [sys.executable, str(program), str(data), mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=program_environment())


async def _publish_records(data: Path) -> None:
    """Publishes `RECORDS` numbers from 0 as articles: even ones to partition 0, odd ones to partition 1."""
    bus = await EmbeddedBus.open(data, SETTINGS)
    async with bus.publisher("source") as publisher:
        for start in range(0, RECORDS, 2_000):
            records = [Outgoing(Topic.ARTICLES, None, b"%d" % n, n % 2) for n in range(start, start + 2_000)]
            await publisher.publish(records, {})
    await bus.close()


def _kill_at_random_moments(data: Path, moment: Callable[[], float]) -> None:
    """Starts a process that copies articles on the bus in `data`, and kills it; does so `KILLS` times.

    Args:
        moment: returns after how many seconds the process is killed, counted from when its bus is open.
    """
    for _ in range(KILLS):
        child = _child(data, "run")
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"open\n"
            try:
                child.wait(timeout=moment())
            except subprocess.TimeoutExpired:
                child.kill()
            assert child.wait(timeout=60) == -9, "the process was killed and did not fail"
        finally:
            child.kill()
            child.communicate()


@pytest.mark.slow
async def test_each_record_is_copied_once_and_in_order_under_kills(tmp_path: Path):
    """A process copies 40,000 articles to analyses and is killed 20 times; another one copies the rest.

    The articles are numbers, even ones on partition 0 and odd ones on partition 1. The state counts those of a
    partition.
    """
    seed = int(os.environ.get("RISKWIRE_TEST_SEED", "0")) or random.randrange(1, 1_000_000)
    print(f"RISKWIRE_TEST_SEED={seed}")
    rng = random.Random(seed)
    await _publish_records(tmp_path)
    _kill_at_random_moments(tmp_path, lambda: rng.uniform(0.0, 0.12))

    bus = await EmbeddedBus.open(tmp_path, SETTINGS)
    copied = (await bus.records())[Topic.ANALYSES]
    await bus.close()
    print(f"{copied} of {RECORDS} records copied under {KILLS} kills")
    assert KILLS < copied < RECORDS, "the kills came during the work"

    drain = _child(tmp_path, "drain")
    assert drain.communicate(timeout=180)[0] == b"open\n"
    assert drain.returncode == 0

    bus = await EmbeddedBus.open(tmp_path, SETTINGS)
    try:
        assert [lag.records for lag in await bus.lag()] == [0, 0]
        assert (await bus.records())[Topic.DEAD_LETTERS] == 0
        joined = bus.assignments("copy", Topic.ARTICLES)
        for partition in range(2):
            copies = [int(message.value) for message in await bus.read(Topic.ANALYSES, partition, 0, RECORDS)]
            assert copies == list(range(partition, RECORDS, 2))
            assert await (await anext(joined)).restore() == {"count": b"%d" % (RECORDS // 2)}
    finally:
        await bus.close()
