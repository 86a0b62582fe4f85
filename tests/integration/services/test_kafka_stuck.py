"""A service that makes no progress is not ready and exits, however it hangs; its successor continues."""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from broker import Broker
from cli import json_lines, riskwire
from kafka_reader import committed_positions
from services_on_kafka import (
    Service,
    article_records,
    on_kafka_with_topics,
    publish,
    run_with_bus,
    running_service,
    wait_for_exit,
    wait_until,
)

from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.pipeline import Topic
from riskwire.records import Mark
from riskwire.settings import KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

_NUMBERS = itertools.count()
STUCK_S = 8
PROGRAM = Path(__file__).with_name("kafka_hanging_alert.py")


class HangingAlertService(Service):
    """`riskwire alert` that hangs on one of its two partitions."""

    def __init__(self, how: str, env: dict[str, str], log: Path) -> None:
        super().__init__("alert", env, log, program=(sys.executable, PROGRAM, how))


@pytest.mark.parametrize(
    ("how", "code", "log_text"),
    [
        ("await", 2, "riskwire: signals[0]: alert has made no progress for"),
        ("thread", 1, "alert has made no progress for"),
        ("loop", 1, "Timeout (0:00:08)!"),
    ],
)
def test_a_stage_that_hangs_on_one_partition_is_unready_and_exits(
    kafka_broker: Broker, tmp_path: Path, how: str, code: int, log_text: str
) -> None:
    """Partition 0 hangs, at `await`, in a thread, or so that it blocks the event loop; partition 1 works.

    The service exits with a reason (2) if it can still stop its stages, and else is ended by a watchdog (1). The next
    service, without the bug, reads both partitions.
    """
    prefix = f"stuck{next(_NUMBERS)}-"
    env = on_kafka_with_topics(
        kafka_broker, prefix, partitions=2, session_timeout_s=3, deadline_s=4, stuck_after_s=STUCK_S
    )
    mark = Mark.model_validate({"from": 0, "seen_at": "2026-03-02T12:00:00Z"}).to_bytes()
    publish(kafka_broker, KafkaSettings(prefix=prefix), [Outgoing(Topic.SIGNALS, None, mark, p) for p in (0, 1)])
    log = tmp_path / "alert.log"
    service = HangingAlertService(how, env, log)
    try:
        if how != "loop":  # a hanging event loop cannot answer
            wait_until(
                lambda: (
                    problems_by_stage(service)["alert"].startswith("signals[0]: no progress for")
                    or _has_exited(service)
                ),
                why=service.log_tail,
            )
            assert not _has_exited(service), f"it exited before it was unready: {service.log_tail()}"
        assert wait_for_exit(service.process) == code
        assert log_text in service.log_tail()
    except BaseException:
        print(service.log_tail())
        raise
    finally:
        service.kill()
    with running_service("alert", env, log) as successor:
        wait_until(lambda: min(committed_offsets(kafka_broker, prefix)) >= 1, why=successor.log_tail)


def problems_by_stage(service: Service) -> dict[str, str]:
    """Returns the detail of each stage if the service is not ready; '' for any other stage."""
    status, body = service.readiness()
    stages = body["stages"] if status == 503 else ()
    return defaultdict(str, {stage["name"]: stage.get("detail", "") for stage in stages})


def _has_exited(service: Service) -> bool:
    return service.process.poll() is not None


def committed_offsets(broker: Broker, prefix: str) -> list[int]:
    """Returns the committed offsets of alert, by partition."""
    return list(committed_positions(broker.client, f"{prefix}alert", f"{prefix}signals", 2).values())


def test_a_worker_without_a_partition_is_on_standby_and_ready(kafka_broker: Broker, tmp_path: Path) -> None:
    """Two workers share a single partition: one owns it, the other waits for it, and both are ready."""
    prefix = f"stuck{next(_NUMBERS)}-"
    env = on_kafka_with_topics(kafka_broker, prefix, partitions=1, session_timeout_s=3)

    with running_service("alert", env, tmp_path / "first.log") as first:
        wait_until(lambda: first.stage_detail("alert") == "1 partitions", why=first.log_tail)
        with running_service("alert", env, tmp_path / "second.log") as second:
            shared = ["1 partitions", "on standby"]
            workers = (first, second)
            wait_until(
                lambda: sorted(worker.stage_detail("alert") for worker in workers) == shared, why=second.log_tail
            )
            for worker in workers:
                worker.wait_until_ready()


def test_a_worker_that_cannot_join_its_group_is_unready_and_exits(kafka_here: None, tmp_path: Path) -> None:
    """It exits with 2 after `stuck_after_s`, so that an orchestrator starts it again."""
    # The topic of consumer groups cannot be created, so there is no coordinator; everything else works.
    with Broker(tmp_path / "kafka", {"offsets.topic.replication.factor": "3"}).running() as broker:
        env = on_kafka_with_topics(broker, "outside-", partitions=1, session_timeout_s=3, stuck_after_s=STUCK_S)
        with running_service("notify", env, tmp_path / "notify.log") as service:
            wait_until(
                lambda: (
                    problems_by_stage(service)["notify"].startswith("has not joined its group for")
                    or _has_exited(service)
                ),
                why=service.log_tail,
            )
            assert not _has_exited(service), f"it exited before it was unready: {service.log_tail()}"
            assert wait_for_exit(service.process) == 2
            # The service runs two stages, and either may be the first to give up.
            assert re.search("riskwire: (notify|decisions) has not joined its group for", service.log_tail())


def test_a_stage_that_waits_for_the_store_does_not_exit(kafka_broker: Broker, tmp_path: Path) -> None:
    """History, which runs in the sink, waits until infer has read three articles, for longer than the stuck limit.

    No infer runs. The waiting counts as progress, as the metric of the time of the last progress shows.
    """
    prefix = f"stuck{next(_NUMBERS)}-"
    env = on_kafka_with_topics(
        kafka_broker, prefix, partitions=1, session_timeout_s=3, deadline_s=8, stuck_after_s=STUCK_S
    )

    async def create_backlog(bus: KafkaBus) -> None:
        await (await anext(bus.assignments("infer", Topic.ARTICLES))).restore()
        async with bus.publisher("test") as publisher:
            await publisher.publish(article_records(range(3)), {})

    settings = KafkaSettings(prefix=prefix, session_timeout_s=3)
    asyncio.run(run_with_bus(kafka_broker, settings, create_backlog))
    added = riskwire("watchlist", "add", "acme", "--name", "Acme Corp", env=env)
    assert added.returncode == 0, added.stderr
    progress = 'riskwire_stage_progress_timestamp_seconds{stage="history"}'
    with running_service("sink", env, tmp_path / "sink.log", "--data", tmp_path / "data") as sink:
        wait_until(lambda: sink.metric(progress) > 0, why=sink.log_tail)
        first = sink.metric(progress)
        wait_until(lambda: sink.metric(progress) - first > 1.5 * STUCK_S or _has_exited(sink), why=sink.log_tail)
        assert not _has_exited(sink), sink.log_tail()
        assert json_lines("status", env=env)[0]["lag"]["history"] == 1, (
            "it waits until infer has read the articles before the command"
        )
