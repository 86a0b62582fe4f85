"""SIGTERM and SIGKILL within a batch: the table of failures in deploy/README.md."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from broker import Broker
from services_on_kafka import (
    TIMEOUT_S,
    analysed_articles,
    article_records,
    on_kafka_with_topics,
    publish,
    running_service,
    wait_for_exit,
    wait_until,
)

from riskwire.records import content_id
from riskwire.settings import KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

ARTICLES = 60


@pytest.mark.parametrize(
    ("ending_signal", "exit_code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)], ids=["asked", "killed"]
)
def test_a_worker_that_ends_within_a_batch_loses_nothing_and_repeats_nothing(
    kafka_broker: Broker, tmp_path: Path, ending_signal: signal.Signals, exit_code: int
) -> None:
    """The next worker continues after the last committed step. A container killed for memory gets SIGKILL.

    The shipped model reads a few dozen articles in a second, so the first worker ends long before the last article.
    """
    prefix = f"within-{ending_signal.name.lower()}-"
    env = on_kafka_with_topics(kafka_broker, prefix, partitions=2, session_timeout_s=2) | {"RISKWIRE_BUS__BATCH": "8"}
    publish(kafka_broker, KafkaSettings(prefix=prefix, partitions=2), article_records(range(ARTICLES)))
    with running_service("infer", env, tmp_path / "first.log") as first:
        wait_until(lambda: len(analysed_articles(kafka_broker, prefix)) > 0, why=first.log_tail)
        first.process.send_signal(ending_signal)
        assert wait_for_exit(first.process) == exit_code, first.log_tail()
        assert "Traceback" not in first.log_tail()
    assert 0 < len(analysed_articles(kafka_broker, prefix)) < ARTICLES
    with running_service("infer", env, tmp_path / "second.log") as second:
        wait_until(
            lambda: len(set(analysed_articles(kafka_broker, prefix))) == ARTICLES, 3 * TIMEOUT_S, second.log_tail
        )
    expected_ids = {content_id("article", str(number)) for number in range(ARTICLES)}
    analysed_ids = analysed_articles(kafka_broker, prefix)
    assert (len(analysed_ids), set(analysed_ids)) == (ARTICLES, expected_ids)
