"""`kill -9` in the middle of a replay, in a process of its own: the log is that of an undisturbed one."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from faults import seeded

from riskwire.bus.open import open_bus
from riskwire.ingest.replay.run import replay
from riskwire.pipeline import Topic
from riskwire.settings import Settings

STORIES = 1_500
PATIENCE_S = 90
PROGRAM = """
import asyncio, sys
from pathlib import Path
from riskwire.bus.open import open_bus
from riskwire.ingest.replay.run import replay
from riskwire.settings import Settings

def told(at):
    print(at.stories, flush=True)
    sys.stdin.readline()  # goes on when it is told to

async def main() -> None:
    settings = Settings(data=Path(sys.argv[1]))
    bus = await open_bus(settings)
    await replay(bus, Path(sys.argv[2]), settings, progress=told)
    await bus.close()

asyncio.run(main())
"""


def write_archive(path: Path, stories: int) -> None:
    start = datetime(2009, 1, 1, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as file:
        for n in range(stories):
            moment = start + timedelta(seconds=n * 37 % 5_000 + n * 3)
            row = {
                "published_at": moment.isoformat(),
                "title": f"Globex closes plant {n % (stories - 50)}",
                "source": "wire",
            }
            file.write(json.dumps(row) + "\n" if n % 97 else "broken\n")


async def log_of(settings: Settings) -> list[list[bytes]]:
    bus = await open_bus(settings)
    try:
        partitions = [await bus.read(Topic.ARTICLES, p, 0, 100_000) for p in range(bus.partitions(Topic.ARTICLES))]
        letters = await bus.read(Topic.DEAD_LETTERS, 0, 0, 1_000)
    finally:
        await bus.close()
    offsets = [str(json.loads(letter.value)["offset"]).encode() for letter in letters]
    return [*([message.value for message in messages] for messages in partitions), offsets]


async def test_kill_9_leaves_the_log_of_an_undisturbed_replay(tmp_path: Path) -> None:
    chance = seeded()
    archive = tmp_path / "news.jsonl"
    write_archive(archive, STORIES)
    calm, disturbed = Settings(data=tmp_path / "calm"), Settings(data=tmp_path / "disturbed")
    bus = await open_bus(calm)
    report = await replay(bus, archive, calm)
    await bus.close()
    for steps in (2, 4):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, str(disturbed.data), str(archive)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(steps):
                assert await process.stdout.readline()
                process.stdin.write(b"\n")
            await asyncio.wait([asyncio.create_task(process.wait())], timeout=chance.uniform(0, 0.05))
            process.kill()
            assert await process.wait() == -signal.SIGKILL, "killed within a step or behind it, not at the end"
    bus = await open_bus(disturbed)
    rest = await replay(bus, archive, disturbed)
    await bus.close()
    assert 500 <= rest.resumed_at < STORIES
    assert await log_of(disturbed) == await log_of(calm)
    assert report.bad == STORIES // 97 + 1
