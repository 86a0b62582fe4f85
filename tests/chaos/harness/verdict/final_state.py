"""Reads the final state of a run from outside, and compares it with the reference run."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kafka_reader import committed_records

from harness.cluster.observer import Observer
from harness.cluster.webhook import AlertWebhook
from harness.outcome import RunOutcome
from harness.verdict import reference_run
from harness.verdict.comparison import (
    TOPICS,
    TopicComparison,
    compare_topic,
    count_by_next_version,
    expected_dead_letter,
    store_differences,
    without_added,
    without_muted,
    without_next_version,
)
from harness.verdict.explained import explain, withdrawn_records

_ARRIVAL_S = 30.0
_LOOK_S = 0.5


async def compare_topics(reference_data: Path, client: Mapping[str, str], observer: Observer) -> list[TopicComparison]:
    """Compares each topic, as an independent client reads it, with the reference run.

    The run itself added records to the topic articles: these are left out, and one dead letter is expected for each of
    them that cannot be read. Fields of the next version are left out.
    """
    expected = await asyncio.to_thread(reference_run.embedded_records, reference_data)
    expected["dead-letters"] += [expected_dead_letter(raw) for raw in malformed_records(observer)]
    comparisons: list[TopicComparison] = []
    for topic in TOPICS:
        records = await read_topic(client, topic)
        if topic == "articles":
            records = without_added(records, observer.added)
        if topic == "near-misses":
            records = without_muted(records)
        comparison = compare_topic(topic, expected[topic], map(without_next_version, records))
        comparison.by_next_version = count_by_next_version(topic, records)
        comparisons.append(comparison)
    return comparisons


async def read_topic(client: Mapping[str, str], topic: str) -> list[bytes]:
    """Returns the committed records of a topic."""
    return [record.value or b"" for record in await asyncio.to_thread(committed_records, client, topic)]


def malformed_records(observer: Observer) -> list[bytes]:
    """Returns the records that the run added to the topic articles and that are not articles, each once."""
    return [raw for raw in observer.added if not _is_article(raw)]


async def compare_notifications(alerts: list[bytes], webhook: AlertWebhook) -> TopicComparison:
    """Checks that each alert record arrives at least once, under one idempotency key that no other record has.

    Records of tier digest are not pushed: none may arrive. Waits up to `_ARRIVAL_S` for the last ones. A body that is
    no alert record to push differs, too; repetitions under one key are allowed.

    Args:
        alerts: the records of the topic alerts, which are also the bodies of the notifications.
    """
    alerts = [alert for alert in alerts if json.loads(alert).get("tier") != "digest"]
    await webhook.wait_for({*alerts}, _ARRIVAL_S)
    keys_by_body: dict[bytes, set[str]] = {}
    for key, body in webhook.arrived:
        keys_by_body.setdefault(body, set()).add(key)
    comparison = TopicComparison("notifications", len(keys_by_body))
    comparison.lost = [str(body[:200]) for body in {*alerts} - {*keys_by_body}]
    comparison.differing = [
        f"{body[:200]!r} arrived under keys {keys}" for body, keys in keys_by_body.items() if len(keys) > 1
    ]
    comparison.differing += [f"{body[:200]!r} is not an alert record to push" for body in {*keys_by_body} - {*alerts}]
    if len({key for keys in keys_by_body.values() for key in keys}) < len(keys_by_body):
        comparison.differing.append("two alert records arrived under one key")
    return comparison


async def explain_notifications(
    client: Mapping[str, str], webhook: AlertWebhook, logs: Path, outcome: RunOutcome
) -> TopicComparison:
    """Checks that each notification, and each absence, is explained by the log of alerts.

    Waits up to `_ARRIVAL_S` for the last ones.

    Args:
        logs: the folder with the logs of notify, which say what was withdrawn.
        outcome: takes the number of decisions, and of absences by reason.
    """
    committed = await asyncio.to_thread(committed_records, client, "alerts")
    partitions: dict[int, list[bytes]] = {}
    for record in committed:
        partitions.setdefault(record.partition, []).append(record.value or b"")
    ordered = [partitions[number] for number in sorted(partitions)]
    deadline = time.monotonic() + _ARRIVAL_S
    while True:
        explanation = explain(ordered, dict(webhook.arrived), withdrawn_records(_entries(logs)))
        if not explanation.comparison.lost or time.monotonic() > deadline:
            outcome.decisions, outcome.absences = dict(explanation.decisions), dict(explanation.absences)
            return explanation.comparison
        await asyncio.sleep(_LOOK_S)


def _entries(logs: Path) -> Iterator[dict[str, Any]]:
    """Yields the entries of the logs of notify; lines that are none are left out."""
    for path in sorted(logs.glob("notify-*.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    yield entry


async def compare_store(reference_data: Path, data: Path, url: str | None = None) -> tuple[int, list[str]]:
    """Returns the number of entries of the store, and descriptions of those that differ from the reference run.

    Args:
        url: where the store is; None for SQLite in `data`.
    """
    reference = await asyncio.to_thread(reference_run.store_view, reference_data)
    actual = await asyncio.to_thread(reference_run.store_view, data, url)
    return len(actual), store_differences(reference, actual)


def _is_article(raw: bytes) -> bool:
    """Returns whether a record is a JSON object of kind `article` with the time at which it was seen."""
    try:
        record = json.loads(raw)
    except ValueError:
        return False
    return isinstance(record, dict) and record.get("kind") == "article" and "seen_at" in record
