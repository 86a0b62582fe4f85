"""The services of a run: what is started for each role, and the settings all of them get."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from harness.snapshot import Snapshot

SESSION_S = 3.0
DEADLINE_S = 8.0
STUCK_S = 30
"""A session, a deadline and a patience much shorter than in production, so that all of it happens in minutes."""

GROUPS = ("infer", "alert", "notify", *(f"sink-{topic}" for topic in ("analyses", "signals", "trends", "alerts")))
"""Groups that must have read everything before a run is judged."""

LIVE_PREFIX = "live-"
"""Of the topics of live news."""
ARCHIVE, DATA, FEEDS = "archive.jsonl", "data", "feeds.yaml"
"""In the folder of a run: the news, the data directory of the sinks, the feed list."""


def riskwire(*words: str) -> list[str]:
    """`riskwire …` of whatever code PYTHONPATH names."""
    return [sys.executable, "-c", "from riskwire.cli.main import main; main()", *words]


def plain(code: Snapshot) -> dict[str, str]:
    """The environment of every process of riskwire: the code under test, and no settings of the developer's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RISKWIRE_")}
    return kept | {
        "PYTHONPATH": code.python_path,
        "RISKWIRE_INFERENCE__THREADS": "1",
        "RISKWIRE_STORE__KEEP_DAYS": "40000",
        "RISKWIRE_LOG__FORMAT": "json",
    }


def on_kafka(url: str, partitions: int) -> dict[str, str]:
    """Settings of a process on the cluster of a run."""
    return {
        "RISKWIRE_BUS__URL": url,
        "RISKWIRE_KAFKA__PARTITIONS": str(partitions),
        "RISKWIRE_KAFKA__SESSION_TIMEOUT_S": str(SESSION_S),
        "RISKWIRE_KAFKA__DEADLINE_S": str(DEADLINE_S),
        "RISKWIRE_KAFKA__STUCK_AFTER_S": str(STUCK_S),
    }


def notifying(url: str) -> dict[str, str]:
    """Settings for notifications that go to a webhook, however old the news, and are tried often."""
    return {
        "RISKWIRE_NOTIFY__WEBHOOKS": json.dumps([url]),
        "RISKWIRE_NOTIFY__MAX_AGE_S": "1e10",
        "RISKWIRE_NOTIFY__BACKOFF_S": "0.2",
        "RISKWIRE_NOTIFY__BACKOFF_MAX_S": "2",
        "RISKWIRE_NOTIFY__ATTEMPTS": "50",
    }


def ingesting() -> dict[str, str]:
    """Settings for feeds on this machine, polled as often as may be, also after a failure."""
    return {
        "RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS": '["127.0.0.1"]',
        "RISKWIRE_INGEST__PER_HOST": "16",
        "RISKWIRE_INGEST__BACKOFF_MAX_S": "10",
        "RISKWIRE_INGEST__TICK_S": "1",
    }


class Commands(dict[str, list[str]]):
    """What is started, by role; the pace of the replayer is asked for each time.

    Args:
        folder: of the run.
        broken: the known mistake of infer and alert, where they are to have one.
        pace: what `--speed` gets.
    """

    def __init__(self, folder: Path, watchlist: Path, broken: str | None, pace: Callable[[], str]) -> None:
        def stage(*words: str) -> list[str]:
            if broken is None:
                return riskwire(*words)
            return [sys.executable, str(Path(__file__).with_name("broken.py")), broken, *words]

        live = ("env", f"RISKWIRE_KAFKA__PREFIX={LIVE_PREFIX}")
        infer = stage("infer", "--port", "0", "--watchlist", str(watchlist))
        super().__init__(
            {
                "infer": infer,
                "alert": stage("alert", "--port", "0"),
                "sink": riskwire("sink", "--port", "0", "--data", str(folder / DATA)),
                "notify": riskwire("notify", "--port", "0"),
                "ingest": [*live, *stage("ingest", "--port", "0", "--feeds", str(folder / FEEDS))],
                "live": [*live, *infer],
            }
        )
        self._replay = riskwire("replay", str(folder / ARCHIVE), "--publish-only", "--speed")
        self._pace = pace

    def __missing__(self, role: str) -> list[str]:
        assert role == "replay", role
        return [*self._replay, self._pace()]
