"""What one entry of each memory costs, and the most that a process keeps of it: `python tests/bench/soak/rooms.py`.

Bytes are those that Python allocates (tracemalloc). Stories are measured by `busy_days.py`.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from rich.console import Console
from rich.table import Table
from timeline import Timeline, event, mark, signal

from riskwire.alerting.target import MEMORY_MS
from riskwire.demo import corpus_path
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.sentences import TextDocument
from riskwire.inference.seen_articles import SeenArticles
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.replay.archive import open_archive
from riskwire.records import SIGNALS, Signal, read_record
from riskwire.settings import Settings

WORDS = ("oil", "bank", "shares", "profit", "fall", "market", "probe", "fraud", "chief", "court", "deal", "merger")
LATER_H = MEMORY_MS / 3_600_000 + 30


def published_items(count: int) -> object:
    """Returns the memory of ingest with so many published items."""
    chance = random.Random(1)
    memory = ItemMemory({}, count)
    for number in range(count):
        title = " ".join(chance.choices(WORDS, k=9)) + str(number)
        memory.version_of(
            chance.randbytes(16).hex(), chance.randbytes(16).hex(), title=title, guid=chance.randbytes(8).hex()
        )
    memory.take_changes()
    return memory


def seen_versions(count: int) -> object:
    """Returns the memory of infer with so many article versions."""
    chance = random.Random(2)
    seen = SeenArticles(count, {})
    for _ in range(count):
        seen.add(chance.randbytes(16).hex(), 1)
    seen.take_changes()
    return seen


def targets(count: int, *, alerted: bool) -> object:
    """Returns the book with so many targets: an alert runs on each, or their stories are forgotten."""
    chance = random.Random(3)
    timeline = Timeline()
    for number in range(count):
        name, article, story = f"Company {number}", chance.randbytes(16).hex(), chance.randbytes(32).hex()
        target = f"entity:name:company-{number}"
        new = signal(1 + number / count, target, 0.1, article=article, story=story)
        if alerted:
            title = f"{name} files for bankruptcy"
            new = event(1 + number / count, title, "bankruptcy", target=target, name=name, article=article, story=story)
        timeline.feed(parsed(new))
    timeline.feed(mark(3))
    if not alerted:
        timeline.feed(parsed(signal(LATER_H, "entity:other", 0.1)), mark(LATER_H + 1))
    return timeline.book


def parsed(new: Signal) -> Signal:
    """Returns a signal as the stage reads it, which shares no text with another one."""
    read = read_record(SIGNALS, new.to_bytes(), "a bench")
    assert isinstance(read, Signal)
    return read


def cost(build: Callable[[int], object], count: int) -> float:
    """Returns the bytes of an entry of what is built with so many entries. It is built twice: first to warm up."""
    build(count // 10)
    gc.collect()
    tracemalloc.start()
    try:
        built = build(count)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        del built
    finally:
        tracemalloc.stop()
    return held / count


async def sentence_cost(count: int) -> float:
    """Returns the bytes of a cached sentence."""
    archive = open_archive(corpus_path())
    items = [archive.reader.read(line) for line in archive.lines(1_000_000)]
    texts = {f"{item.title}. {number}" for number, item in enumerate(items[:count])}
    async with Engine(Bundle.load()) as engine:
        await engine.predict([TextDocument(text, len(text)) for text in list(texts)[:8]])
        gc.collect()
        tracemalloc.start()
        try:
            await engine.predict([TextDocument(text, len(text)) for text in list(texts)[8:]])
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    return held / (len(texts) - 8)


def main() -> None:
    """Prints the table."""
    settings = Settings()
    table = Table("what", "bytes each", "at most", "MiB then", box=None)
    rows = (
        ("published item", cost(published_items, 10_000), settings.ingest.remember),
        ("article version, a partition", cost(seen_versions, 10_000), settings.inference.remember),
        ("cached sentence", asyncio.run(sentence_cost(200)), settings.inference.cache),
        (
            "target without stories, a partition",
            cost(lambda count: targets(count, alerted=False), 500),
            settings.alerting.max_targets,
        ),
        (
            "target with an alert, a partition",
            cost(lambda count: targets(count, alerted=True), 500),
            settings.alerting.max_targets,
        ),
    )
    for contents, bytes_each, most in rows:
        table.add_row(contents, f"{bytes_each:,.0f}", f"{most:,}", f"{bytes_each * most / 2**20:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
