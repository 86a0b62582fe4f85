"""Records of newer and of broken kinds on Kafka: what can be read passes, the rest is kept and can be put back."""

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
from cli import environment, lines, not_of_a_contest, riskwire
from fictional import VELDARA, signal
from kafka_reader import committed_records
from services_on_kafka import PATIENCE_S

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
from riskwire.pipeline import Topic
from riskwire.records import Article, Mark, Record, Tick, content_id
from riskwire.settings import Settings
from riskwire.stage import BatchStage, Step, Task, run_stage
from riskwire.store import Store, sink_stages

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PARTITIONS = 2


def article(name: str) -> Article:
    """An article; the tiny bundle reads Globex and loss."""
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
    """A record as a later riskwire writes it: a higher `v`, fields that we do not know."""
    told = json.loads(record.to_bytes()) | {"v": 7, "mood": {"of": "the day"}, "seen_by": ["a", 1, None]} | fields
    return json.dumps(told).encode()


class Cluster:
    """One prefix of the broker: a bus, stages on it, and the command line."""

    def __init__(self, url: str, prefix: str, tmp_path: Path, bundle: Path) -> None:
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

    async def make(self) -> None:
        await create_topics(self.settings.bus, self.settings.kafka)

    async def publish(self, *records: Outgoing) -> None:
        bus = await KafkaBus.open(self.settings.bus, self.settings.kafka)
        async with bus.publisher("source") as publisher:
            await publisher.publish(records, {})
        await bus.close()

    @asynccontextmanager
    async def run(self, wrap=lambda stage: stage) -> AsyncIterator[None]:
        """Run infer, alert and the sinks until everything is read."""
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
                    async with asyncio.timeout(PATIENCE_S):
                        await wait_until_drained(bus, [stage.spec.name for stage in stages])
                    yield
                    await bus.close()

    def records(self, client: Mapping[str, str], topic: str) -> list[dict]:
        return [json.loads(one.value) for one in committed_records(client, self.prefix + topic) if one.value]


@pytest.fixture
async def cluster(kafka_broker, request: pytest.FixtureRequest, tmp_path: Path, tiny_bundle: Path) -> Cluster:
    made = Cluster(kafka_broker.url, f"{request.node.name[:20]}-", tmp_path, tiny_bundle)
    await made.make()
    return made


async def test_records_of_a_newer_version_pass_through_infer_alert_and_sink(cluster: Cluster, kafka_broker) -> None:
    old, new = article("one"), article("two")
    told = signal("three", target=VELDARA, at=NOON)
    late = NOON + timedelta(minutes=10)
    ticks = [broadcast(Topic.ARTICLES, newer(Tick(seen_at=late), brightness=3), PARTITIONS)]
    mark = Mark.model_validate({"from": 0, "seen_at": NOON})
    await cluster.publish(
        Outgoing(Topic.ARTICLES, old.id, old.to_bytes()),
        Outgoing(Topic.ARTICLES, new.id, newer(new)),
        Outgoing(
            Topic.SIGNALS, told.target, newer(told, evidence=json.loads(told.evidence.model_dump_json()) | {"x": 1})
        ),
        *broadcast(Topic.SIGNALS, newer(mark), PARTITIONS),
        *(record for some in ticks for record in some),
    )
    async with cluster.run():
        pass
    client = kafka_broker.client
    analyses = cluster.records(client, "analyses")
    assert {one["article"]["id"]: one["status"] for one in analyses} == {old.id: "ok", new.id: "ok"}
    by_article = {one["article"]["id"]: one for one in analyses}
    assert by_article[old.id]["sentiment"] == by_article[new.id]["sentiment"], "the newer one is read as ours is"
    assert VELDARA in {one["target"] for one in cluster.records(client, "trends")}, "alert took the newer signal"
    assert cluster.records(client, "dead-letters") == []
    with Store.open(cluster.settings, read_only=True) as store:
        assert [row.title for row in store.stories(VELDARA)] == [told.title], "and so did the sink"


class Older:
    """infer as it was before it learned of bulletins: it fails on them."""

    name, topic = "infer", Topic.ARTICLES

    def __init__(self, stage: InferStage) -> None:
        self._stage = stage

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        return OlderTask(self._stage.open(partition, state))


class OlderTask:
    def __init__(self, task: Task) -> None:
        self._task = task

    async def process(self, batch: Sequence[Message]) -> Step:
        if any(b'"bulletin"' in message.value for message in batch):
            raise KeyError("bulletin")
        return await self._task.process(batch)


async def test_what_cannot_be_read_waits_as_a_dead_letter_and_is_processed_once_when_put_back_after_a_mend(
    cluster: Cluster, kafka_broker
) -> None:
    client = kafka_broker.client
    bulletins = [article(f"b{n}") for n in range(6)]
    plain = [article(f"p{n}") for n in range(6)]
    await cluster.publish(
        *(Outgoing(Topic.ARTICLES, one.id, newer(one, form="bulletin")) for one in bulletins),
        *(Outgoing(Topic.ARTICLES, one.id, one.to_bytes()) for one in plain),
        Outgoing(Topic.ARTICLES, "garbage", b"\xff\xfe{"),
    )
    async with cluster.run(Older):
        pass
    assert {one["article"]["id"] for one in cluster.records(client, "analyses")} == {one.id for one in plain}

    letters = await asyncio.to_thread(lines, "dead-letters", "list", "--stage", "infer", env=cluster.env)
    assert len(letters) == 7
    assert Counter(letter["error"].partition(":")[0] for letter in letters) == {"KeyError": 6, "SchemaError": 1}
    assert {letter["key"] for letter in letters} == {*(one.id for one in bulletins), "garbage"}
    (garbage,) = (letter for letter in letters if letter["key"] == "garbage")
    shown = await asyncio.to_thread(riskwire, "dead-letters", "show", garbage["from"], env=cluster.env)
    assert "\\xff\\xfe{" in shown.stdout, "what is no text is shown with escapes; --json has it as base64"

    with ThreadPoolExecutor(2) as pool:  # two people at once
        asked = [pool.submit(riskwire, "dead-letters", "replay", "--all", env=cluster.env) for _ in range(2)]
        done = [await asyncio.to_thread(one.result) for one in asked]
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert [not_of_a_contest(one.stderr) for one in done] == [[], []]
    assert sum(int(one.stdout.splitlines()[-1].split()[0]) for one in done) == 7, "each was put back by one of them"
    again = await asyncio.to_thread(riskwire, "dead-letters", "replay", "--all", env=cluster.env)
    assert "0 replayed, 7 had been before" in again.stdout

    places = Counter(
        (one.partition, one.key) for one in committed_records(client, f"{cluster.prefix}articles") if one.key
    )
    assert {places[place] for place in places if place[1] in {one.id.encode() for one in bulletins}} == {2}, (
        "back on the partition it came from, with its key"
    )
    async with cluster.run():
        pass
    read = Counter(one["article"]["id"] for one in cluster.records(client, "analyses"))
    assert read == Counter(one.id for one in [*plain, *bulletins]), "each once"
    assert len(cluster.records(client, "dead-letters")) == 8, "what still cannot be read is a dead letter anew"
    with Store.open(cluster.settings, read_only=True) as store:
        assert store.counts().dead_letters == 8
