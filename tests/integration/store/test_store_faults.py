"""Sinks write to a PostgreSQL that is killed, frozen and cut off at random: nothing is lost, doubled or different."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fictional
import pytest
from serving import write_with_sink
from stores.answers import api_answers
from stores.postgresql import PostgresServer, missing_postgresql

from riskwire.settings import Settings, StoreSettings
from riskwire.store import Store, sink_stages

pytestmark = pytest.mark.needs_postgresql

FAULTS = 10
MAX_BATCH = 25


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    missing = missing_postgresql()
    if missing is not None:
        pytest.skip(missing)
    with PostgresServer.running() as server:
        yield server


async def sink(store: Store, records: dict[Any, list[Any]], rng: random.Random, written: asyncio.Event) -> None:
    """Writes all records in batches, and one batch in three again, as after a kill before the commit of the position.

    Writes them over and over until the faults are over, and then once more.
    """
    while True:
        last_round = written.is_set()
        for stage in sink_stages(store):
            messages = fictional.messages(stage.spec.reads, records.get(stage.spec.reads, []))
            task = stage.open(0, {})
            first = 0
            while first < len(messages):
                size = rng.randint(1, MAX_BATCH)
                await task.process(messages[first : first + size])
                first += 0 if rng.random() < 1 / 3 else size
        if last_round:
            return


async def inject_faults(server: PostgresServer, rng: random.Random) -> None:
    """Kills the server, freezes it or cuts its connections, ten times."""
    for number in range(FAULTS):
        await asyncio.sleep(rng.uniform(0, 0.5))
        fault = rng.choice(("kill", "freeze", "cut")) if number > 2 else ("kill", "freeze", "cut")[number]
        print(number, fault)
        if fault == "kill":
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(rng.uniform(0, 0.5))
            await asyncio.to_thread(server.start)
        elif fault == "freeze":
            server.suspend()
            await asyncio.sleep(rng.uniform(0, 0.5))
            server.resume()
        else:
            await asyncio.to_thread(server.cut_connections)


async def test_two_sinks_of_the_same_partitions_survive_the_faults_of_the_server(
    server: PostgresServer, tmp_path: Path
) -> None:
    """Both write everything at the same time, as a sink and its zombie do. The answers equal those of a calm SQLite."""
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    rng = random.Random(seed)
    records = fictional.records_by_topic(days=1)
    calm = Settings(data=tmp_path)
    stormy = Settings(data=tmp_path, store=StoreSettings(url=server.new_database()))
    with Store.open(calm) as store:
        await write_with_sink(store, records)
        expected = await api_answers(store, max_targets=4)
    faults_over = asyncio.Event()
    with Store.open(stormy) as first, Store.open(stormy) as second:
        async with asyncio.timeout(400), asyncio.TaskGroup() as group:
            for store in (first, second):
                group.create_task(sink(store, records, random.Random(rng.random()), faults_over))
            await inject_faults(server, rng)
            faults_over.set()
        assert first.counts() == second.counts()
        answers = await api_answers(first, max_targets=4)
    for path, answer in expected.items():
        assert answers.get(path) == answer, f"seed {seed}: {path}"
