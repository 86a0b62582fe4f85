"""A replay that is killed and restarted publishes the same records as an undisturbed one."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from faults import seeded_random

from riskwire.bus.open import open_bus
from riskwire.ingest.replay.run import replay
from riskwire.pipeline import Topic
from riskwire.settings import Settings

STORIES = 1_500
TIMEOUT_S = 90
PROGRAM = """
import asyncio, sys
from pathlib import Path
from riskwire.bus.open import open_bus
from riskwire.ingest.replay.run import replay
from riskwire.settings import Settings

def report(replayed):
    print(replayed.stories, flush=True)
    sys.stdin.readline()  # waits for the test

async def main() -> None:
    settings = Settings(data=Path(sys.argv[1]))
    bus = await open_bus(settings)
    await replay(bus, Path(sys.argv[2]), settings, progress=report)
    await bus.close()

asyncio.run(main())
"""


def write_archive(path: Path, stories: int) -> None:
    """Writes an archive of news as JSON lines, whose times are not in order.

    The last 50 titles repeat the first. Line 0 and each 97th after it are not JSON.
    """
    start = datetime(2009, 1, 1, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as file:
        for number in range(stories):
            published_at = start + timedelta(seconds=number * 37 % 5_000 + number * 3)
            row = {
                "published_at": published_at.isoformat(),
                "title": f"Globex closes plant {number % (stories - 50)}",
                "source": "wire",
            }
            file.write(json.dumps(row) + "\n" if number % 97 else "broken\n")


async def published_records(settings: Settings) -> list[list[bytes]]:
    """Returns the values of the articles of each partition; as last list, the line numbers of the dead letters."""
    bus = await open_bus(settings)
    try:
        partitions = [
            await bus.read(Topic.ARTICLES, partition, 0, 100_000) for partition in range(bus.partitions(Topic.ARTICLES))
        ]
        dead_letters = await bus.read(Topic.DEAD_LETTERS, 0, 0, 1_000)
    finally:
        await bus.close()
    lines = [str(json.loads(dead_letter.value)["offset"]).encode() for dead_letter in dead_letters]
    return [*([message.value for message in messages] for messages in partitions), lines]


async def test_a_killed_replay_publishes_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    """A replay is killed twice, shortly after 2 and 4 steps, and then run to its end.

    The process waits after each step until the test sends it a line. A step has 100 lines of the archive.
    """
    rng = seeded_random()
    archive = tmp_path / "news.jsonl"
    write_archive(archive, STORIES)
    undisturbed, killed = Settings(data=tmp_path / "undisturbed"), Settings(data=tmp_path / "killed")
    bus = await open_bus(undisturbed)
    report = await replay(bus, archive, undisturbed)
    await bus.close()
    for steps in (2, 4):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, str(killed.data), str(archive)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        async with asyncio.timeout(TIMEOUT_S):
            for _ in range(steps):
                assert await process.stdout.readline()
                process.stdin.write(b"\n")
            await asyncio.wait([asyncio.create_task(process.wait())], timeout=rng.uniform(0, 0.05))
            process.kill()
            assert await process.wait() == -signal.SIGKILL, "the replay must be killed before its end"
    bus = await open_bus(killed)
    remaining = await replay(bus, archive, killed)
    await bus.close()
    assert 500 <= remaining.resumed_at < STORIES
    assert await published_records(killed) == await published_records(undisturbed)
    assert report.bad == STORIES // 97 + 1
