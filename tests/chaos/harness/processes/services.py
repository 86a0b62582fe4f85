"""The commands and settings of a run's processes, by role."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from harness.processes.snapshot import CodeSnapshot

SESSION_S = 3.0
DEADLINE_S = 8.0
STUCK_AFTER_S = 30
"""Session timeout, deadline and stuck limit; much shorter than in production, so that they expire within minutes."""

NEXT_VERSION_CODE = Path(__file__).with_name("next_version")
"""The folder that makes riskwire its next version, first in PYTHONPATH."""
_STORED = ("analyses", "signals", "trends", "alerts", "near-misses")
GROUPS = ("infer", "alert", "decisions", "notify", *(f"sink-{topic}" for topic in _STORED))
"""Consumer groups that must have read everything before the records are compared."""

LIVE_PREFIX = "live-"
"""Prefix of the topics of live news."""
ARCHIVE, DATA, FEEDS = "archive.jsonl", "data", "feeds.yaml"
"""Names in the folder of a run: the archive, the data directory of the sinks, the feed list."""


def riskwire_command(*arguments: str) -> list[str]:
    """Returns the command `riskwire …`, which runs the code that PYTHONPATH names."""
    return [sys.executable, "-c", "from riskwire.cli.main import main; main()", *arguments]


def base_environment(code: CodeSnapshot) -> dict[str, str]:
    """Returns the environment of each process: the code under test, without the developer's own settings."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RISKWIRE_")}
    return inherited | {
        "PYTHONPATH": code.python_path,
        "RISKWIRE_INFERENCE__THREADS": "1",
        "RISKWIRE_STORE__KEEP_DAYS": "40000",
        "RISKWIRE_LOG__FORMAT": "json",
    }


def next_version(code: CodeSnapshot, newer: CodeSnapshot | None) -> dict[str, str]:
    """Returns what the version to upgrade to has in its environment.

    Args:
        code: the version to upgrade from.
        newer: the version to upgrade to; by default what `NEXT_VERSION_CODE` makes of `code`.
    """
    return {"PYTHONPATH": newer.python_path if newer else f"{NEXT_VERSION_CODE}:{code.python_path}"}


def kafka_settings(url: str, partitions: int) -> dict[str, str]:
    """Returns the settings of a process that uses the cluster of a run."""
    return {
        "RISKWIRE_BUS__URL": url,
        "RISKWIRE_KAFKA__PARTITIONS": str(partitions),
        "RISKWIRE_KAFKA__SESSION_TIMEOUT_S": str(SESSION_S),
        "RISKWIRE_KAFKA__DEADLINE_S": str(DEADLINE_S),
        "RISKWIRE_KAFKA__STUCK_AFTER_S": str(STUCK_AFTER_S),
    }


def notify_settings(url: str) -> dict[str, str]:
    """Returns settings that send notifications of any age to a webhook, with many attempts."""
    return {
        "RISKWIRE_NOTIFY__WEBHOOKS": json.dumps([url]),
        "RISKWIRE_NOTIFY__MAX_AGE_S": "1e10",
        "RISKWIRE_NOTIFY__BACKOFF_S": "0.2",
        "RISKWIRE_NOTIFY__BACKOFF_MAX_S": "2",
        "RISKWIRE_NOTIFY__ATTEMPTS": "50",
    }


def ingest_settings() -> dict[str, str]:
    """Returns settings that allow feeds on this machine, and poll them soon after a failure."""
    return {
        "RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS": '["127.0.0.1"]',
        "RISKWIRE_INGEST__PER_HOST": "16",
        "RISKWIRE_INGEST__BACKOFF_MAX_S": "10",
        "RISKWIRE_INGEST__TICK_S": "1",
    }


def store_settings(url: str | None) -> dict[str, str]:
    """Returns settings of the store on PostgreSQL; none for SQLite in the data directory."""
    return {} if url is None else {"RISKWIRE_STORE__URL": url}


def known_bug_settings(known_bug: str | None) -> dict[str, str]:
    """Returns settings by which a fault that hits a known bug loses a few records, not a whole partition."""
    return {} if known_bug is None else {"RISKWIRE_BUS__BATCH": "8"}


class RoleCommands(dict[str, list[str]]):
    """The command of each role. The command of the replayer is built for each start, with the speed of that moment.

    Args:
        folder: folder of the run.
        watchlist: watchlist of infer.
        known_bug: the bug that the stages have, or None.
        replay_speed: returns the value of `--speed`.
        page_port: the port of the API.
    """

    def __init__(
        self,
        folder: Path,
        watchlist: Path,
        known_bug: str | None,
        replay_speed: Callable[[], str],
        page_port: int = 0,
    ) -> None:
        """Builds the commands of all roles but the replayer, whose command has the speed at the time of its start.

        The known bug is in infer, alert and ingest, not in sink and notify. The role `live` is an infer of live news,
        which has its own topics.
        """

        def stage_command(*arguments: str) -> list[str]:
            if known_bug is None:
                return riskwire_command(*arguments)
            return [sys.executable, str(Path(__file__).with_name("known_bugs.py")), known_bug, *arguments]

        live = ("env", f"RISKWIRE_KAFKA__PREFIX={LIVE_PREFIX}")
        infer = stage_command("infer", "--port", "0", "--watchlist", str(watchlist))
        super().__init__(
            {
                "infer": infer,
                "alert": stage_command("alert", "--port", "0"),
                "sink": riskwire_command("sink", "--port", "0", "--data", str(folder / DATA)),
                "notify": riskwire_command("notify", "--port", "0"),
                "serve": riskwire_command("serve", "--port", str(page_port), "--data", str(folder / DATA)),
                "ingest": [*live, *stage_command("ingest", "--port", "0", "--feeds", str(folder / FEEDS))],
                "live": [*live, *infer],
            }
        )
        self._replay = riskwire_command("replay", str(folder / ARCHIVE), "--publish-only", "--speed")
        self._replay_speed = replay_speed

    def __missing__(self, role: str) -> list[str]:
        assert role == "replay", role
        return [*self._replay, self._replay_speed()]
