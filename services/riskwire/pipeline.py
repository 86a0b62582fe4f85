"""The pipeline as data: every topic, and every stage between the topics.

Everything else derives from this file: the topics on Kafka, the embedded bus, which stages a process runs, lag and
health, what the history stage waits for, and the drawing in the README. To add a topic or a stage, declare it here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final


class Topic(StrEnum):
    """The topics of the bus."""

    ARTICLES = "articles"
    ANALYSES = "analyses"
    SIGNALS = "signals"
    TRENDS = "trends"
    ALERTS = "alerts"
    NEAR_MISSES = "near-misses"
    COMMANDS = "commands"
    FEEDS = "feeds"
    DEAD_LETTERS = "dead-letters"


class StageKind(StrEnum):
    """How a stage works."""

    BATCH = "batch"
    """A pure function over batches: results, state and position are one atomic step (`stage/batch_loop.py`)."""
    EFFECTS = "effects"
    """Work that outlasts a batch, such as polling feeds or delivering notifications (`stage/effect_loop.py`)."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic is kept.

    Attributes:
        partitioned: False for exactly one partition; True for as many as the settings say.
        retention: how long records are kept on Kafka; None for a compacted topic, which keeps the newest record of
            each key.
        compaction_delay: of a compacted topic, how long replaced records stay readable.
        backpressure: whether a publisher waits while a group is too far behind on this topic.
    """

    topic: Topic
    partitioned: bool = True
    retention: timedelta | None = None
    compaction_delay: timedelta = timedelta(0)
    backpressure: bool = True

    @property
    def compacted(self) -> bool:
        """Whether the newest record of each key is kept for ever."""
        return self.retention is None

    def partitions(self, configured: int) -> int:
        """The number of partitions, given the number in the settings."""
        return configured if self.partitioned else 1


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A stage: a consumer group on one topic.

    Attributes:
        name: the stage's name, which is also the name of its consumer group.
        service: the command that runs the stage on Kafka (`riskwire SERVICE`).
        room: the package of `riskwire` that holds the stage's class.
        max_batch: the most records of one step; None for `bus.batch`.
        outside: what the stage writes besides topics, for the drawing.
    """

    name: str
    reads: Topic
    writes: tuple[Topic, ...]
    service: str
    room: str = ""
    kind: StageKind = StageKind.BATCH
    max_batch: int | None = None
    outside: str = ""


_WEEK: Final = timedelta(days=7)
_MONTH: Final = timedelta(days=30)

TOPICS: Final = {
    spec.topic: spec
    for spec in (
        TopicSpec(Topic.ARTICLES, retention=_WEEK),
        TopicSpec(Topic.ANALYSES, retention=_WEEK),
        TopicSpec(Topic.SIGNALS, retention=_WEEK),
        TopicSpec(Topic.TRENDS, retention=_MONTH),
        TopicSpec(Topic.ALERTS, retention=_MONTH),
        TopicSpec(Topic.NEAR_MISSES, retention=_MONTH),
        # People write commands, a few at a time. The history stage may read them hours late, because it waits for
        # infer, and a person's decision should not wait for that. The sink audits every command, also one that
        # a later command on the same subject replaced; the delay gives it a week to read them.
        TopicSpec(Topic.COMMANDS, partitioned=False, compaction_delay=_WEEK, backpressure=False),
        TopicSpec(Topic.FEEDS),
        TopicSpec(Topic.DEAD_LETTERS, partitioned=False, retention=_MONTH),
    )
}
"""Every topic, by name."""

_STORED: Final = (
    Topic.ANALYSES,
    Topic.SIGNALS,
    Topic.TRENDS,
    Topic.ALERTS,
    Topic.NEAR_MISSES,
    Topic.COMMANDS,
    Topic.DEAD_LETTERS,
)

INGEST: Final = StageSpec("ingest", Topic.FEEDS, (Topic.ARTICLES,), "ingest", "ingest", StageKind.EFFECTS)
INFER: Final = StageSpec("infer", Topic.ARTICLES, (Topic.ANALYSES, Topic.SIGNALS), "infer", "inference")
WATCHLIST: Final = StageSpec("watchlist", Topic.COMMANDS, (Topic.ARTICLES,), "infer", "watching")
ALERT: Final = StageSpec("alert", Topic.SIGNALS, (Topic.TRENDS, Topic.ALERTS, Topic.NEAR_MISSES), "alert", "alerting")
DECISIONS: Final = StageSpec("decisions", Topic.COMMANDS, (Topic.ALERTS,), "notify", "deciding")
HISTORY: Final = StageSpec("history", Topic.COMMANDS, (Topic.SIGNALS,), "sink", "watching", max_batch=1)
"""One command a step: a single one may bring a thousand signals."""
NOTIFY: Final = StageSpec(
    "notify", Topic.ALERTS, (Topic.NEAR_MISSES,), "notify", "notify", StageKind.EFFECTS, outside="receivers"
)
SINKS: Final = {topic: StageSpec(f"sink-{topic}", topic, (), "sink", "store", outside="store") for topic in _STORED}
"""The stages that write a topic into the store, by topic."""

STAGES: Final = (INGEST, INFER, WATCHLIST, ALERT, DECISIONS, HISTORY, NOTIFY, *SINKS.values())
"""Every stage. Each also writes dead letters and, on Kafka, its state to `NAME-state`."""

SERVE: Final = "serve"
"""The service without a stage: the page and the API over the store."""
SERVICES: Final = (*dict.fromkeys(stage.service for stage in STAGES), SERVE)
"""Every service, in the order in which they start."""


def stages_of(service: str) -> tuple[StageSpec, ...]:
    """The stages that a service runs."""
    return tuple(stage for stage in STAGES if stage.service == service)


def route(start: Topic, stored: Collection[Topic], without: StageSpec) -> tuple[tuple[StageSpec, ...], ...]:
    """The stages that a record passes on its way into the store, hop by hop.

    The stages of a hop read what the previous hop wrote. The last hop is the sinks: the stages that write `stored`
    into the store.

    Args:
        start: the topic on which the record is published.
        stored: the topics that must be in the store at the end. If no hop writes all these
            topics together, the search does not end.
        without: a stage that is no part of the way.
    """
    hops: list[tuple[StageSpec, ...]] = []
    reached = {start}
    while not set(stored) <= reached:
        hop = tuple(
            stage for stage in STAGES if stage is not without and stage.reads in reached and _leads_to(stage, stored)
        )
        hops.append(hop)
        reached = {topic for stage in hop for topic in stage.writes}
    hops.append(tuple(SINKS[topic] for topic in stored))
    return tuple(hops)


def _leads_to(stage: StageSpec, goals: Collection[Topic]) -> bool:
    """Returns whether a stage writes to one of the goals, itself or through stages that read what it writes."""
    return any(
        topic in goals or any(_leads_to(later, goals) for later in STAGES if later.reads == topic)
        for topic in stage.writes
    )


def drawing() -> str:
    """The pipeline as text: a line for each stage, `what it reads ─► its name ─► what it writes`.

    The last line shows all sinks (the stages that write topics into the store) as one; its input may be wider.
    """
    rows = [(stage.reads.value, stage.name, _outputs(stage)) for stage in STAGES if stage not in SINKS.values()]
    rows.append((", ".join(SINKS), "sink", "(store)"))
    width = max(len(reads) for reads, _, _ in rows[:-1])
    name_width = max(len(name) for _, name, _ in rows)
    return "\n".join(f"{reads:<{width}} ─► {name:<{name_width}} ─► {writes}" for reads, name, writes in rows)


def _outputs(stage: StageSpec) -> str:
    return ", ".join([*stage.writes, *([f"({stage.outside})"] if stage.outside else [])])
