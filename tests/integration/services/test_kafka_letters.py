"""Records that are newer or unreadable, on Kafka: dead letters are kept and replayed after a fix."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli import environment, json_lines, riskwire, unexpected_lines
from fictional import VELDARA, signal
from kafka_reader import committed_records
from services_on_kafka import TIMEOUT_S

from riskwire.alerting import AlertStage
from riskwire.bus import Message, Outgoing, broadcast
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics
from riskwire.entities.watchlist import Watchlist
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.stage import InferStage
from riskwire.pipeline import INFER, Topic
from riskwire.records import Article, Mark, Record, Tick, content_id
from riskwire.settings import Settings
from riskwire.stage import BatchStage, Step, Task, run_stage
from riskwire.store import Store, sink_stages

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PARTITIONS = 2


def article(name: str) -> Article:
    """An article with the words that the tiny bundle knows: Globex and loss."""
    return Article(
        id=content_id(name),
        version=1,
        url=f"https://news.example/{name}",
        source="wire",
        title=f"Globex Corp said loss {name}",
        language="en",
        published_at=NOON,
        seen_at=NOON,
    )


def newer(record: Record, **fields: object) -> bytes:
    """Returns a record as a later version writes it: with a higher `v`, unknown fields, and `fields`."""
    changed = json.loads(record.to_bytes()) | {"v": 7, "mood": {"of": "the day"}, "seen_by": ["a", 1, None]} | fields
    return json.dumps(changed).encode()


class KafkaPipeline:
    """A bus on one prefix of the broker, stages that run on it, and the environment of commands."""

    def __init__(self, url: str, prefix: str, tmp_path: Path, bundle: Path) -> None:
        """Prepares settings and environment; `create` then creates the topics.

        Args:
            tmp_path: the data directory, with the store.
            bundle: the model bundle.
        """
        self.prefix = prefix
        self.settings = Settings.model_validate(
            {
                "data": tmp_path,
                "bus": {"url": url},
                "kafka": {"prefix": prefix, "partitions": PARTITIONS},
                "inference": {"bundle": bundle, "threads": 1},
            }
        )
        self.env = environment(
            RISKWIRE_BUS__URL=url, RISKWIRE_KAFKA__PREFIX=prefix, RISKWIRE_KAFKA__PARTITIONS=str(PARTITIONS)
        )

    async def create(self) -> None:
        await create_topics(self.settings.bus, self.settings.kafka)

    async def publish(self, *records: Outgoing) -> None:
        """Publishes records as one step."""
        bus = await KafkaBus.open(self.settings.bus, self.settings.kafka)
        async with bus.publisher("source") as publisher:
            await publisher.publish(records, {})
        await bus.close()

    @asynccontextmanager
    async def run(self, wrap=lambda stage: stage) -> AsyncIterator[None]:
        """Runs infer, alert and the sinks until they have read everything; stops them when the block ends.

        Args:
            wrap: returns the stage that runs instead of the infer stage, given this.
        """
        bus = await KafkaBus.open(self.settings.bus, self.settings.kafka)
        engine = Engine(Bundle.load(self.settings.inference.bundle), self.settings.inference)
        with Store.open(self.settings) as store:
            async with engine:
                infer = InferStage(engine, Linker(Watchlist(())), self.settings, signal_partitions=PARTITIONS)
                alert = AlertStage(self.settings.alerting, PARTITIONS)
                stages: list[BatchStage] = [wrap(infer), alert, *sink_stages(store)]
                async with asyncio.TaskGroup() as group:
                    for stage in stages:
                        group.create_task(run_stage(bus, stage, batch=50))
                    async with asyncio.timeout(TIMEOUT_S):
                        await wait_until_drained(bus, [stage.spec.name for stage in stages])
                    yield
                    await bus.close()

    def records(self, client: Mapping[str, str], topic: str) -> list[dict]:
        return [json.loads(record.value) for record in committed_records(client, self.prefix + topic) if record.value]


@pytest.fixture
async def pipeline(kafka_broker, request: pytest.FixtureRequest, tmp_path: Path, tiny_bundle: Path) -> KafkaPipeline:
    """A pipeline on topics whose prefix is a part of the test's name."""
    pipeline = KafkaPipeline(kafka_broker.url, f"{request.node.name[5:25]}-", tmp_path, tiny_bundle)
    await pipeline.create()
    return pipeline


async def test_newer_records_pass_through_infer_alert_and_sink(pipeline: KafkaPipeline, kafka_broker) -> None:
    """A newer version adds fields to an article, a signal, a tick and a mark, which the stages ignore."""
    old, new = article("one"), article("two")
    newer_signal = signal("three", target=VELDARA, at=NOON)
    evidence = json.loads(newer_signal.evidence.model_dump_json()) | {"x": 1}
    tick = newer(Tick(seen_at=NOON + timedelta(minutes=10)), brightness=3)
    mark = Mark.model_validate({"from": 0, "seen_at": NOON})
    await pipeline.publish(
        Outgoing(Topic.ARTICLES, old.id, old.to_bytes()),
        Outgoing(Topic.ARTICLES, new.id, newer(new)),
        Outgoing(Topic.SIGNALS, newer_signal.target, newer(newer_signal, evidence=evidence)),
        *broadcast(Topic.SIGNALS, newer(mark), PARTITIONS),
        *broadcast(Topic.ARTICLES, tick, PARTITIONS),
    )
    async with pipeline.run():
        pass
    client = kafka_broker.client
    analyses = pipeline.records(client, "analyses")
    by_article = {analysis["article"]["id"]: analysis for analysis in analyses}
    assert {article_id: analysis["status"] for article_id, analysis in by_article.items()} == {
        old.id: "ok",
        new.id: "ok",
    }
    assert by_article[old.id]["sentiment"] == by_article[new.id]["sentiment"], (
        "the newer article is read like the current one"
    )
    targets = {point["target"] for point in pipeline.records(client, "trends")}
    assert VELDARA in targets, "alert has read the newer signal"
    assert pipeline.records(client, "dead-letters") == []
    with Store.open(pipeline.settings, read_only=True) as store:
        assert [row.title for row in store.stories(VELDARA)] == [newer_signal.title], "and the sink has too"


class OldInferStage:
    """An infer stage of an older version, which fails on bulletins."""

    spec = INFER

    def __init__(self, stage: InferStage) -> None:
        self._stage = stage

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        return OldInferTask(self._stage.open(partition, state))


class OldInferTask:
    def __init__(self, task: Task) -> None:
        self._task = task

    async def process(self, batch: Sequence[Message]) -> Step:
        """Processes a batch as the real task does, but raises KeyError if it has a bulletin."""
        if any(b'"bulletin"' in message.value for message in batch):
            raise KeyError("bulletin")
        return await self._task.process(batch)


async def test_dead_letters_replayed_after_a_fix_are_processed_once(pipeline: KafkaPipeline, kafka_broker) -> None:
    """An older infer stage fails on six articles (bulletins), and every version on a record that is no JSON.

    The seven dead letters are listed and shown. Two commands that replay all at once put each record back once, and
    later ones none. The current infer stage then analyses the bulletins; the other record is a dead letter again.
    """
    client = kafka_broker.client
    bulletins = [article(f"b{number}") for number in range(6)]
    articles = [article(f"p{number}") for number in range(6)]
    await pipeline.publish(
        *(Outgoing(Topic.ARTICLES, bulletin.id, newer(bulletin, form="bulletin")) for bulletin in bulletins),
        *(Outgoing(Topic.ARTICLES, published.id, published.to_bytes()) for published in articles),
        Outgoing(Topic.ARTICLES, "garbage", b"\xff\xfe{"),
    )
    async with pipeline.run(OldInferStage):
        pass
    analysed = {analysis["article"]["id"] for analysis in pipeline.records(client, "analyses")}
    assert analysed == {published.id for published in articles}

    letters = await asyncio.to_thread(json_lines, "dead-letters", "list", "--stage", "infer", env=pipeline.env)
    assert len(letters) == 7
    assert Counter(letter["error"].partition(":")[0] for letter in letters) == {"KeyError": 6, "SchemaError": 1}
    assert {letter["key"] for letter in letters} == {*(bulletin.id for bulletin in bulletins), "garbage"}
    (garbage,) = (letter for letter in letters if letter["key"] == "garbage")
    shown = await asyncio.to_thread(riskwire, "dead-letters", "show", garbage["from"], env=pipeline.env)
    assert "\\xff\\xfe{" in shown.stdout, "bytes that are not text are escaped; --json shows base64"

    with ThreadPoolExecutor(2) as pool:  # two users at the same time
        running = [pool.submit(riskwire, "dead-letters", "replay", "--all", env=pipeline.env) for _ in range(2)]
        replays = [await asyncio.to_thread(replay.result) for replay in running]
    assert [replay.returncode for replay in replays] == [0, 0], [replay.stderr for replay in replays]
    assert [unexpected_lines(replay.stderr) for replay in replays] == [[], []]
    counts = [int(replay.stdout.splitlines()[-1].split()[0]) for replay in replays]
    assert sum(counts) == 7, "each record is put back by one of the two"
    again = await asyncio.to_thread(riskwire, "dead-letters", "replay", "--all", env=pipeline.env)
    assert "0 replayed, 7 replayed before" in again.stdout

    records = committed_records(client, f"{pipeline.prefix}articles")
    keys = {bulletin.id.encode() for bulletin in bulletins}
    copies = Counter((record.partition, record.key) for record in records if record.key in keys)
    assert set(copies.values()) == {2}, "each is put back onto its partition, with its key"
    async with pipeline.run():
        pass
    analysed = Counter(analysis["article"]["id"] for analysis in pipeline.records(client, "analyses"))
    assert analysed == Counter(published.id for published in [*articles, *bulletins]), "each article once"
    assert len(pipeline.records(client, "dead-letters")) == 8, "the unreadable record is a dead letter again"
    with Store.open(pipeline.settings, read_only=True) as store:
        assert store.counts().dead_letters == 8
