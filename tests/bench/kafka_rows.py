"""The rows of `bench_kafka.py`: each stage beside a bare loop that reads and writes the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_inference import articles as real_documents
from kafka_bare import Run, in_turn
from kafka_bench import Bench, Row, as_sent, publish
from kafka_load import NoCost, ReadyStage, articles, infer_stage, made_ready
from kafka_measure import Kept, timed_stage

from riskwire.alerting import AlertStage
from riskwire.bus import Outgoing
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.sentences import TextDocument
from riskwire.pipeline import Topic
from riskwire.records import Article
from riskwire.settings import AlertingSettings, InferenceSettings, Settings
from riskwire.store import Store, sink_stages


def infer_groups(bench: Bench, *names: str) -> dict[str, Topic]:
    """A group a round: each reads from the beginning."""
    return {f"{name}-{n}": Topic.ARTICLES for name in names for n in range(bench.asked.rounds + 1)}


async def infer_rows(bench: Bench) -> list[Row]:
    """The bus and the loop with ready answers, and the real infer stage with a model of no cost."""
    asked, partitions = bench.asked, bench.asked.partitions
    news = articles(asked.articles)
    engine = NoCost(Bundle.load(None), news)
    ready = await made_ready(news, engine, partitions, asked.batch)
    rows = []
    groups = infer_groups(bench, "ready", "infer")
    async with bench.bus("a-", groups, partitions) as bus, bench.bus("bare-a-", {}, partitions):
        await publish(bus, [Outgoing(Topic.ARTICLES, one.id, one.to_bytes()) for one in news])
        # The bare loop writes 1 analysis and 3 signals an article: neither marks nor state.
        plain = {
            str(key).encode(): as_sent([one for one in results if one.key], "bare-a-", bus)
            for key, (results, _) in ready.items()
        }
        assert sum(map(len, plain.values())) == 4 * len(news)

        async def bare(number: int) -> Run:
            return await bench.bare("a-articles", partitions, f"bare-{number}").run(
                len(news), lambda key: plain[key or b""]
            )

        if bench.wants("bus"):
            runs = await bench.in_turns(
                lambda n: timed_stage(bus, ReadyStage(f"ready-{n}", ready), len(news), asked.batch), bare
            )
            rows.append(Row("bus and loop, ready answers", *runs))
        if bench.wants("infer"):
            runs = await bench.in_turns(
                lambda n: timed_stage(bus, infer_stage(engine, partitions, f"infer-{n}"), len(news), asked.batch), bare
            )
            rows.append(Row("infer, a model of no cost", *runs))
    return rows


async def signals_of(bench: Bench, news: Sequence[Article]) -> tuple[list[Outgoing], list[Outgoing]]:
    """Analyses, and signals with marks, of all news as one partition of `articles` has them."""
    ready = await made_ready(news, NoCost(Bundle.load(None), news), bench.asked.partitions, bench.asked.batch)
    results = [one for article in news for one in ready[article.id][0]]
    analyses = [one for one in results if one.topic == Topic.ANALYSES]
    return analyses, [one for one in results if one.topic == Topic.SIGNALS]


async def alert_and_sink_rows(bench: Bench) -> list[Row]:
    """The real alert stage, and the real sinks on SQLite beside a bare loop that reads the same and writes nothing."""
    asked, partitions = bench.asked, bench.asked.partitions
    news = articles(asked.articles // 4)
    analyses, signals = await signals_of(bench, news)
    rounds = range(asked.rounds + 1)
    groups = {f"{name}-{n}": Topic.SIGNALS for name in ("alert", "sink-signals") for n in rounds}
    groups |= {f"sink-analyses-{n}": Topic.ANALYSES for n in rounds}
    rows = []
    async with bench.bus("s-", groups, partitions) as bus, bench.bus("bare-s-", groups, partitions):
        await publish(bus, [*analyses, *signals])
        if bench.wants("alert"):
            kept: Kept = []

            async def alert(number: int) -> Run:
                stage = AlertStage(AlertingSettings(), article_partitions=1)
                stage.spec = replace(stage.spec, name=f"alert-{number}")
                return await timed_stage(bus, stage, len(signals), asked.batch, None if kept else kept)

            await alert(0)
            outputs = [one for _, results, _ in kept for one in as_sent(results, "bare-s-", bus)]
            outputs += [
                (f"bare-s-alert-{0}-state", partition, key.encode(), value)
                for partition, _, state in kept
                for key, value in state.items()
            ]
            runs = await bench.in_turns(
                lambda n: alert(n) if n else _nothing(),
                lambda n: bench.bare("s-signals", partitions, f"bare-alert-{n}").run(
                    len(signals), in_turn(outputs, len(signals))
                ),
            )
            name = f"alert ({len(outputs) / len(news):.1f} records an article, state included)"
            rows.append(Row(name, *runs, len(signals) / len(news)))
        for topic, records in ((Topic.ANALYSES, analyses), (Topic.SIGNALS, signals)):
            if bench.wants("sink"):
                rows.append(await _sink_row(bench, bus, topic, len(records), len(news)))
    return rows


async def _nothing() -> Run:
    return Run(1, 1.0, 1.0, [])


async def _sink_row(bench: Bench, bus: object, topic: Topic, records: int, news: int) -> Row:
    async def sink(number: int) -> Run:
        with TemporaryDirectory() as folder, Store.open(Settings(data=Path(folder))) as store:
            stage = next(stage for stage in sink_stages(store) if stage.spec.reads == topic)
            stage.spec = replace(stage.spec, name=f"sink-{topic}-{number}")  # type: ignore[misc]
            return await timed_stage(bus, stage, records, bench.asked.batch)  # type: ignore[arg-type]

    async def bare(number: int) -> Run:
        return await bench.bare(f"s-{topic}", bench.asked.partitions, f"bare-sink-{topic}-{number}").run(
            records, lambda _: ()
        )

    runs = await bench.in_turns(sink, bare)
    return Row(f"sink-{topic}, SQLite beside reading only", *runs, records / news)


async def real_model_row(bench: Bench) -> tuple[list[tuple[str, ...]], list[tuple[str, str]]]:
    """infer with the model that ships on Kafka beside the engine alone, and bytes an article on the broker's disk."""
    asked, partitions = bench.asked, bench.asked.partitions
    documents = real_documents(asked.read)
    plain = articles(len(documents))
    news = [
        article.model_copy(
            update={
                "title": document.content[: document.title_length],
                "text": document.content[document.title_length + 1 :],
            }
        )
        for article, document in zip(plain, documents, strict=True)
    ]
    bundle, settings = Bundle.load(None), InferenceSettings(cache=0)
    groups = infer_groups(bench, "infer")
    async with bench.bus("m-", groups, partitions) as bus:
        await publish(bus, [Outgoing(Topic.ARTICLES, one.id, one.to_bytes()) for one in news])

        async def ours(number: int) -> Run:
            async with Engine(bundle, settings) as engine:
                stage = infer_stage(engine, partitions, f"infer-{number}")
                return await timed_stage(bus, stage, len(news), asked.batch)

        async def alone(_: int) -> Run:
            async with Engine(bundle, settings) as engine:
                began, worked = time.perf_counter(), time.process_time()
                await engine.predict([TextDocument.of_article(one.title, one.text) for one in news])
                return Run(len(news), time.perf_counter() - began, time.process_time() - worked, [])

        runs = await bench.in_turns(ours, alone)
        await asyncio.sleep(0)
        steps = asked.rounds + 1
        sizes = [("articles", bench.bytes_of("m-articles") / len(news))]
        sizes += [(topic, bench.bytes_of(f"m-{topic}") / len(news) / steps) for topic in ("analyses", "signals")]
        sizes.append(("infer-state", bench.bytes_of("m-infer-[0-9]-state") / len(news) / steps))
    row = Row(f"infer, {bundle.label}, beside the engine alone", *runs).cells()
    return [row], [(topic, f"{size:,.0f}") for topic, size in sizes]
