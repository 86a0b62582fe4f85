"""A process says once where the thresholds of a bundle come from, however many partitions it has."""

from __future__ import annotations

from structlog.testing import capture_logs
from timeline import signal

from riskwire.alerting import AlertStage
from riskwire.bus import Message
from riskwire.pipeline import Topic
from riskwire.settings import AlertingSettings


async def test_thresholds_of_a_bundle_are_told_once_for_all_partitions() -> None:
    stage = AlertStage(AlertingSettings(), article_partitions=1)
    bundles = ["a 1.0", "b 2.0", "a 1.0"]
    with capture_logs() as logs:
        for partition in range(4):
            task = stage.open(partition, {})
            records = [signal(at).model_copy(update={"bundle": bundle}) for at, bundle in enumerate(bundles)]
            await task.process(
                [Message(Topic.SIGNALS, partition, at, None, record.to_bytes()) for at, record in enumerate(records)]
            )
    logged_bundles = [entry["bundle"] for entry in logs if "thresholds" in entry["event"]]
    assert logged_bundles == ["a 1.0", "b 2.0"]
