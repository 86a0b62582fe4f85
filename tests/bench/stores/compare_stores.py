"""Compares SQLite and PostgreSQL: `python tests/bench/stores/compare_stores.py ARCHIVE --limit 3000`.

Replays an archive (by default the one of the demo) into a store on SQLite. Then gives the records of its bus to an
empty store on PostgreSQL, in batches of random sizes. Compares the answers of every route of the API, byte for byte,
and the exports of every kind. Exits with 1 if one differs.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from cli import RISKWIRE, environment
from stores.answers import api_answers
from stores.postgresql import PostgresServer, missing_postgresql

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.demo import corpus_path
from riskwire.pipeline import SINKS
from riskwire.settings import BusSettings, Settings, StoreSettings
from riskwire.store import Store, sink_stages
from riskwire.store.exports import ExportKind, export_rows

_KEEP_ALL = "100000000"


async def fill_from_bus(data: Path, store: Store, rng: random.Random) -> int:
    """Writes all records of a bus into a store through the sinks, and returns their number."""
    bus = await EmbeddedBus.open(data, BusSettings())
    count = 0
    try:
        for stage in sink_stages(store):
            task = stage.open(0, {})
            for partition in range(bus.partitions(stage.spec.reads)):
                offset = 0
                while batch := await bus.read(stage.spec.reads, partition, offset, rng.choice((1, 64, 256, 1_000))):
                    await task.process(batch)
                    offset = batch[-1].offset + 1
                    count += len(batch)
    finally:
        await bus.close()
    return count


async def main() -> int:
    """Replays, fills, compares, and prints what differs. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, nargs="?", default=corpus_path())
    parser.add_argument("--limit", type=int, default=3_000, help="stories of the archive")
    parser.add_argument("--targets", type=int, default=300, help="targets whose trends and stories are compared")
    parser.add_argument("--data", type=Path, help="a data directory that was replayed with bus.keep_processed before")
    options = parser.parse_args()
    if (missing := missing_postgresql()) is not None:
        print(missing, file=sys.stderr)
        return 2
    seed = random.randrange(1_000_000)
    with PostgresServer.running() as server, tempfile.TemporaryDirectory() as folder:
        data = options.data or Path(folder) / "data"
        if options.data is None:
            print(f"replaying {options.limit} stories")
            env = environment(RISKWIRE_BUS__KEEP_PROCESSED=_KEEP_ALL, RISKWIRE_STORE__KEEP_DAYS="40000")
            words = ["replay", options.archive, "--data", data, "--speed", "max", "--limit", options.limit]
            command = [str(RISKWIRE), *map(str, words)]
            await asyncio.to_thread(subprocess.run, command, env=env, check=True, timeout=7_200)
        on_sqlite = Settings(data=data, store=StoreSettings(keep_days=40_000))
        on_postgresql = Settings(data=data, store=StoreSettings(keep_days=40_000, url=server.new_store()))
        answers, files = [], []
        with Store.open(on_postgresql) as store:
            start = time.monotonic()
            count = await fill_from_bus(data, store, random.Random(seed))
            print(f"{count} records of {len(SINKS)} topics written in {time.monotonic() - start:.0f} s, seed {seed}")
        for name, settings in (("SQLite", on_sqlite), ("PostgreSQL", on_postgresql)):
            with Store.open(settings, read_only=True) as store:
                start = time.monotonic()
                answers.append(await api_answers(store, max_targets=options.targets))
                print(f"{name}: {len(answers[-1])} answers in {time.monotonic() - start:.0f} s")
            exports = {}
            for kind in ExportKind:
                path = Path(folder) / f"{name}-{kind}.csv"
                export_rows(settings, kind, path)
                exports[kind] = path.read_bytes()
            files.append(exports)
    differing = [path for path in answers[0] | answers[1] if answers[0].get(path) != answers[1].get(path)]
    differing += [f"export of {kind}" for kind in ExportKind if files[0][kind] != files[1][kind]]
    size = sum(map(len, answers[0].values()))
    print(f"{len(answers[0])} answers of {size / 1e6:.1f} MB and {len(files[0])} exports: {len(differing)} differ")
    for path in differing[:10]:
        print(f"  {path}\n    {answers[0].get(path, '')[:300]}\n    {answers[1].get(path, '')[:300]}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
