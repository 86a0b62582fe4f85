"""The cost of one transaction, and of restoring a partition with many targets."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta

from kafka_bench.bare import Ready
from kafka_bench.bench import Bench, as_sent, publish
from kafka_bench.load import NoCost, ReadyStage, articles, prepared_results
from kafka_bench.measure import timed_stage
from riskwire.alerting import AlertStage
from riskwire.alerting.book import Book
from riskwire.bus import Outgoing
from riskwire.inference.model.bundle import Bundle
from riskwire.pipeline import Topic
from riskwire.records import Evidence, Mark, Sentiment, Signal, content_id
from riskwire.settings import AlertingSettings
from riskwire.story import fingerprint

_START = datetime(2026, 3, 2, 6, tzinfo=UTC)


async def transaction_rows(bench: Bench) -> list[tuple[str, ...]]:
    """Returns the median milliseconds of a step with 1, 100 and 500 articles on one partition, beside the bare loop.

    A row holds the size of the step and both times. Each side reads all articles twice, as two groups.
    """
    rows = []
    for size, steps in ((1, 40), (100, 20), (500, 10)):
        news = articles(size * steps)
        ready = await prepared_results(news, NoCost(Bundle.load(None), news), partitions=8, batch=size)
        prefix = f"t{size}-"
        groups = {f"ready-{n}": Topic.ARTICLES for n in range(2)}
        async with (
            bench.bus(prefix, groups, partitions=1) as bus,
            bench.bus(f"bare-{prefix}", groups={}, partitions=1),
        ):
            await publish(bus, [Outgoing(Topic.ARTICLES, article.id, article.to_bytes()) for article in news])
            one_partition = {
                key: ([_on_partition_0(result) for result in results if result.partition in (None, 0)], state)
                for key, (results, state) in ready.items()
            }
            outputs: dict[bytes, list[Ready]] = {
                str(key).encode(): as_sent([result for result in results if result.key], f"bare-{prefix}", bus)
                for key, (results, _) in one_partition.items()
            }
            ours, bare = [], []
            for n in range(2):
                run = await timed_stage(bus, ReadyStage(f"ready-{n}", one_partition), len(news), size)
                ours += run.commits
                loop = bench.bare(f"{prefix}articles", 1, f"bare-{prefix}{n}")
                bare += (await loop.with_batch(size).run(len(news), lambda key, outputs=outputs: outputs[key])).commits
        medians = [statistics.median(times) * 1000 for times in (ours, bare)]
        rows.append((str(size), *(f"{ms:.1f}" for ms in medians)))
    return rows


def _on_partition_0(result: Outgoing) -> Outgoing:
    return Outgoing(result.topic, result.key, result.value, None if result.key else 0)


def state_of(targets: int) -> dict[str, bytes]:
    """Returns the state of an alert task that has seen one bad story of each of many targets, all at one time.

    The mark five minutes later closes their bucket, which takes them from the pending signals into the targets.
    """
    book = Book(AlertingSettings(max_targets=targets), article_partitions=1, state={})
    for number in range(targets):
        title = f"Company {number} cuts its forecast after a strike at plant {number % 97}"
        book.take(
            Signal(
                target=f"entity:name:company-{number}",
                name=f"Company {number}",
                article=content_id(str(number)),
                version=1,
                story=fingerprint(title, ""),
                source=f"source-{number % 40}",
                title=title,
                url=f"https://news.example/{number}",
                published_at=_START,
                seen_at=_START,
                sentiment=Sentiment(negative=0.9, neutral=0.08, positive=0.02),
                relevance=1.0,
                evidence=Evidence(text=title, start=0, end=10),
            )
        )
    later = _START + timedelta(minutes=5)
    bucket = int(_START.timestamp())
    book.take(Mark.model_validate({"from": 0, "seen_at": later, "stories": targets, "buckets": {bucket: targets}}))
    return {key: value for key, value in book.close().state.items() if value is not None}


async def restore_rows(bench: Bench) -> list[tuple[str, str]]:
    """Measures how long a task takes to restart: to read its partition's changelog, and to open from this state.

    The state of `--targets` targets is written before. A row holds a description and a figure.
    """
    state = state_of(bench.options.targets)
    groups = {"alert": Topic.SIGNALS}
    async with bench.bus("r-", groups, partitions=1) as bus:
        assignment = await anext(aiter(bus.assignments("alert", Topic.SIGNALS)))
        await assignment.restore()
        items = list(state.items())
        for start in range(0, len(items), 5_000):
            await assignment.commit(0, [], dict(items[start : start + 5_000]))
    async with bench.bus("r-", groups, partitions=1) as bus:
        assignment = await anext(aiter(bus.assignments("alert", Topic.SIGNALS)))
        began = time.perf_counter()
        restored = await assignment.restore()
        read = time.perf_counter()
        AlertStage(AlertingSettings(), article_partitions=1).open(0, restored)
        opened = time.perf_counter()
        assert restored == state
    return [
        ("keys, bytes", f"{len(state):,}, {sum(map(len, state.values())):,}"),
        ("taking over and reading the changelog", f"{read - began:.1f} s"),
        ("opening the task from it", f"{opened - read:.1f} s"),
    ]
