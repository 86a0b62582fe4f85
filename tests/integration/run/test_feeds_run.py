"""The list of feeds is changed from another process while `riskwire run` polls it, and a file does not undo it."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from cli import environment, lines, riskwire, started
from feedserver import Publisher, publishing
from services_on_kafka import until

PATIENCE_S = 120


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publishing() as publisher:
        for name in ("file", "hand", "doomed"):
            publisher.publish(name, 1, 2)
        yield publisher


@pytest.fixture
def env(tiny_bundle: Path) -> dict[str, str]:
    return environment(
        RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle), RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS='["127.0.0.1"]'
    )


@contextmanager
def running(feeds: Path, data: Path, env: dict[str, str]) -> Iterator[str]:
    """`riskwire run`; gives what it says when it is up."""
    process: subprocess.Popen[str] = started("run", "--feeds", feeds, "--data", data, "--port", "0", env=env)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "riskwire is at" in line:
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield line
                break
        else:
            raise AssertionError("it ended without saying where it serves")
    finally:
        process.terminate()
        assert process.wait(timeout=PATIENCE_S) == 0


def test_feeds_are_added_and_removed_while_it_runs_and_stay_so_when_it_starts_again(
    publisher: Publisher, env: dict[str, str], tmp_path: Path
) -> None:
    file, data = tmp_path / "feeds.yaml", tmp_path / "data"
    listed = [{"id": name, "url": publisher.url(name), "every_s": 10} for name in ("file", "doomed")]
    file.write_text(yaml.safe_dump(listed))

    def feeds(*words: object) -> subprocess.CompletedProcess[str]:
        return riskwire("feeds", *words, "--data", data, env=env)

    def polled() -> set[str]:
        return {asked.feed for asked in publisher.asked}

    with running(file, data, env) as said:
        assert re.search(r"polls 2 feeds", said)
        assert feeds("add", publisher.url("hand"), "--id", "hand").stdout.startswith("added hand: ")
        until(lambda: polled() == {"file", "doomed", "hand"}, PATIENCE_S, lambda: str(polled()))
        feeds("add", publisher.url("nowhere"), "--id", "nowhere")

        def conditions() -> dict[str, dict]:
            return {row["id"]: row for row in lines("feeds", "list", "--data", data, env=env)}

        until(lambda: conditions()["nowhere"]["state"] == "failing", PATIENCE_S, lambda: str(conditions()))
        (failing,) = lines("feeds", "list", "--failing", "--data", data, env=env)
        assert (failing["id"], failing["read_at"]) == ("nowhere", None)
        assert failing["failures"] >= 1
        assert "404" in failing["error"]
        assert feeds("remove", "nowhere").returncode == 0
        assert feeds("remove", "doomed").returncode == 0

    publisher.asked.clear()
    with running(file, data, env) as said:
        assert re.search(r"polls 2 feeds", said)
        rows = {row["id"]: row["from"] for row in lines("feeds", "list", "--data", data, env=env)}
        assert rows == {"file": "file", "hand": "hand"}
        until(lambda: "file" in polled(), PATIENCE_S)
    assert "doomed" not in polled()
