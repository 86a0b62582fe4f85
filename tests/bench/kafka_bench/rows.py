"""The rows of `bench_kafka.py`: each stage beside a bare loop that reads and writes the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_inference import documents_of as real_documents

from kafka_bench.bare import Run, spread
from kafka_bench.bench import Bench, Row, as_sent, publish
from kafka_bench.load import NoCost, ReadyStage, articles, infer_stage, prepared_results
from kafka_bench.measure import Steps, timed_stage
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
    """Returns groups on `articles`, one a name and round: a new group reads from the beginning."""
    return {f"{name}-{n}": Topic.ARTICLES for name in names for n in range(bench.options.rounds + 1)}


async def infer_rows(bench: Bench) -> list[Row]:
    """Measures the bus and the loop with prepared results, and the infer stage with a model without cost.

    Both are beside a bare loop that sends the same analyses and signals. Only the rows that the options name are
    measured.
    """
    options, partitions = bench.options, bench.options.partitions
    news = articles(options.articles)
    engine = NoCost(Bundle.load(None), news)
    ready = await prepared_results(news, engine, partitions, options.batch)
    rows = []
    groups = infer_groups(bench, "ready", "infer")
    async with bench.bus("a-", groups, partitions) as bus, bench.bus("bare-a-", {}, partitions):
        await publish(bus, [Outgoing(Topic.ARTICLES, article.id, article.to_bytes()) for article in news])
        # The bare loop writes 1 analysis and 3 signals an article: neither marks nor state.
        outputs_of = {
            str(key).encode(): as_sent([result for result in results if result.key], "bare-a-", bus)
            for key, (results, _) in ready.items()
        }
        assert sum(map(len, outputs_of.values())) == 4 * len(news)

        async def bare(number: int) -> Run:
            return await bench.bare("a-articles", partitions, f"bare-{number}").run(
                len(news), lambda key: outputs_of[key or b""]
            )

        if bench.wants("bus"):
            runs = await bench.alternate(
                lambda n: timed_stage(bus, ReadyStage(f"ready-{n}", ready), len(news), options.batch), bare
            )
            rows.append(Row("bus and loop, ready answers", *runs))
        if bench.wants("infer"):
            runs = await bench.alternate(
                lambda n: timed_stage(bus, infer_stage(engine, partitions, f"infer-{n}"), len(news), options.batch),
                bare,
            )
            rows.append(Row("infer, a model of no cost", *runs))
    return rows


async def signals_of(bench: Bench, news: Sequence[Article]) -> tuple[list[Outgoing], list[Outgoing]]:
    """Returns the analyses, and the signals with marks, that infer writes for all news, as from one partition."""
    ready = await prepared_results(news, NoCost(Bundle.load(None), news), bench.options.partitions, bench.options.batch)
    results = [result for article in news for result in ready[article.id][0]]
    analyses = [result for result in results if result.topic == Topic.ANALYSES]
    return analyses, [result for result in results if result.topic == Topic.SIGNALS]


async def alert_and_sink_rows(bench: Bench) -> list[Row]:
    """Measures the alert stage, and the sinks on SQLite beside a bare loop that only reads.

    Only the rows that the options name are measured, with a quarter of the articles. The bare loop beside the alert
    stage sends what this has written in a first run, its state included, spread over the signals.
    """
    options, partitions = bench.options, bench.options.partitions
    news = articles(options.articles // 4)
    analyses, signals = await signals_of(bench, news)
    rounds = range(options.rounds + 1)
    groups = {f"{name}-{n}": Topic.SIGNALS for name in ("alert", "sink-signals") for n in rounds}
    groups |= {f"sink-analyses-{n}": Topic.ANALYSES for n in rounds}
    rows = []
    async with bench.bus("s-", groups, partitions) as bus, bench.bus("bare-s-", groups, partitions):
        await publish(bus, [*analyses, *signals])
        if bench.wants("alert"):
            steps_of_alert: Steps = []

            async def alert(number: int) -> Run:
                """Runs the alert stage as a new group; the first run fills `steps_of_alert`."""
                stage = AlertStage(AlertingSettings(), article_partitions=1)
                stage.spec = replace(stage.spec, name=f"alert-{number}")
                return await timed_stage(
                    bus, stage, len(signals), options.batch, None if steps_of_alert else steps_of_alert
                )

            await alert(0)  # it is also the round that warms up
            outputs = [output for _, results, _ in steps_of_alert for output in as_sent(results, "bare-s-", bus)]
            outputs += [
                ("bare-s-alert-0-state", partition, key.encode(), value)
                for partition, _, state in steps_of_alert
                for key, value in state.items()
            ]
            runs = await bench.alternate(
                lambda n: alert(n) if n else _nothing(),
                lambda n: bench.bare("s-signals", partitions, f"bare-alert-{n}").run(
                    len(signals), spread(outputs, len(signals))
                ),
            )
            name = f"alert ({len(outputs) / len(news):.1f} records an article, state included)"
            rows.append(Row(name, *runs, records_an_article=len(signals) / len(news)))
        for topic, records in ((Topic.ANALYSES, analyses), (Topic.SIGNALS, signals)):
            if bench.wants("sink"):
                rows.append(await _sink_row(bench, bus, topic, records=len(records), news=len(news)))
    return rows


async def _nothing() -> Run:
    return Run(1, 1.0, 1.0, [])


async def _sink_row(bench: Bench, bus: object, topic: Topic, records: int, news: int) -> Row:
    """Measures the sink of a topic beside a loop that only reads it.

    Args:
        records: the number of records on the topic; `news` the number of articles they come from.
    """

    async def sink(number: int) -> Run:
        """Runs the sink of the topic as a new group, with an empty store."""
        with TemporaryDirectory() as folder, Store.open(Settings(data=Path(folder))) as store:
            stage = next(stage for stage in sink_stages(store) if stage.spec.reads == topic)
            stage.spec = replace(stage.spec, name=f"sink-{topic}-{number}")  # type: ignore[misc]
            return await timed_stage(bus, stage, records, bench.options.batch)  # type: ignore[arg-type]

    async def bare(number: int) -> Run:
        return await bench.bare(f"s-{topic}", bench.options.partitions, f"bare-sink-{topic}-{number}").run(
            records, lambda _: ()
        )

    runs = await bench.alternate(sink, bare)
    return Row(f"sink-{topic}, SQLite beside reading only", *runs, records_an_article=records / news)


async def real_model_row(bench: Bench) -> tuple[list[tuple[str, ...]], list[tuple[str, str]]]:
    """Measures infer with the shipped model beside the engine alone, and the bytes an article takes on disk.

    Returns:
        the row as cells, and pairs of topic and bytes an article, of one round.
    """
    options, partitions = bench.options, bench.options.partitions
    documents = real_documents(options.read)
    templates = articles(len(documents))
    news = [
        template.model_copy(
            update={
                "title": document.content[: document.title_length],
                "text": document.content[document.title_length + 1 :],
            }
        )
        for template, document in zip(templates, documents, strict=True)
    ]
    bundle, settings = Bundle.load(None), InferenceSettings(cache=0)
    groups = infer_groups(bench, "infer")
    async with bench.bus("m-", groups, partitions) as bus:
        await publish(bus, [Outgoing(Topic.ARTICLES, article.id, article.to_bytes()) for article in news])

        async def ours(number: int) -> Run:
            async with Engine(bundle, settings) as engine:
                stage = infer_stage(engine, partitions, f"infer-{number}")
                return await timed_stage(bus, stage, len(news), options.batch)

        async def engine_alone(_: int) -> Run:
            """Lets the engine predict all texts at once, without bus and stage."""
            async with Engine(bundle, settings) as engine:
                began, worked = time.perf_counter(), time.process_time()
                await engine.predict([TextDocument.of_article(article.title, article.text) for article in news])
                return Run(len(news), time.perf_counter() - began, time.process_time() - worked, [])

        runs = await bench.alternate(ours, engine_alone)
        await asyncio.sleep(0)
        steps = options.rounds + 1
        sizes = [("articles", bench.bytes_of("m-articles") / len(news))]
        sizes += [(topic, bench.bytes_of(f"m-{topic}") / len(news) / steps) for topic in ("analyses", "signals")]
        sizes.append(("infer-state", bench.bytes_of("m-infer-[0-9]-state") / len(news) / steps))
    row = Row(f"infer, {bundle.label}, beside the engine alone", *runs).cells()
    return [row], [(topic, f"{size:,.0f}") for topic, size in sizes]
