"""`riskwire feeds` changes the list that a running monitor polls; a feed list file does not undo the change."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from cli import environment, json_lines, riskwire, start_riskwire
from feeds.feed_server import FeedServer, serve_feeds
from services_on_kafka import TIMEOUT_S, wait_until


@pytest.fixture
def publisher() -> Iterator[FeedServer]:
    """A server of the feeds "file", "hand" and "doomed", with two items each."""
    with serve_feeds() as publisher:
        for name in ("file", "hand", "doomed"):
            publisher.publish(name, 1, 2)
        yield publisher


@pytest.fixture
def env(tiny_bundle: Path) -> dict[str, str]:
    """Settings with the tiny model, which may poll feeds on this machine."""
    return environment(
        RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle), RISKWIRE_INGEST__ALLOW_PRIVATE_HOSTS='["127.0.0.1"]'
    )


@contextmanager
def running_monitor(feeds: Path, data: Path, env: dict[str, str]) -> Iterator[str]:
    """Runs `riskwire run`, and yields the line that it prints when it serves. SIGTERM must then end it with 0."""
    process: subprocess.Popen[str] = start_riskwire("run", "--feeds", feeds, "--data", data, "--port", "0", env=env)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "riskwire is at" in line:
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield line
                break
        else:
            raise AssertionError("it exited without a line with its address")
    finally:
        process.terminate()
        assert process.wait(timeout=TIMEOUT_S) == 0


def test_feeds_can_be_changed_while_they_are_polled_and_stay_changed_after_a_restart(
    publisher: FeedServer, env: dict[str, str], tmp_path: Path
) -> None:
    """A feed list file has the feeds "file" and "doomed". Commands add "hand" and "nowhere", which answers 404.

    `feeds list` shows that "nowhere" fails. It and "doomed" are then removed, and the file does not add "doomed" again
    after a restart.
    """
    file, data = tmp_path / "feeds.yaml", tmp_path / "data"
    entries = [{"id": name, "url": publisher.url(name), "every_s": 10} for name in ("file", "doomed")]
    file.write_text(yaml.safe_dump(entries))

    def feeds(*words: object) -> subprocess.CompletedProcess[str]:
        return riskwire("feeds", *words, "--data", data, env=env)

    def polled() -> set[str]:
        return {request.feed for request in publisher.requests}

    with running_monitor(file, data, env) as greeting:
        assert re.search(r"polls 2 feeds", greeting)
        assert feeds("add", publisher.url("hand"), "--id", "hand").stdout.startswith("added hand: ")
        wait_until(lambda: polled() == {"file", "doomed", "hand"}, TIMEOUT_S, lambda: str(polled()))
        feeds("add", publisher.url("nowhere"), "--id", "nowhere")

        def statuses() -> dict[str, dict]:
            return {row["id"]: row for row in json_lines("feeds", "list", "--data", data, env=env)}

        wait_until(lambda: statuses()["nowhere"]["state"] == "failing", TIMEOUT_S, lambda: str(statuses()))
        (failing,) = json_lines("feeds", "list", "--failing", "--data", data, env=env)
        assert (failing["id"], failing["read_at"]) == ("nowhere", None)
        assert failing["failures"] >= 1
        assert "404" in failing["error"]
        assert feeds("remove", "nowhere").returncode == 0
        assert feeds("remove", "doomed").returncode == 0

    publisher.requests.clear()
    with running_monitor(file, data, env) as greeting:
        assert re.search(r"polls 2 feeds", greeting)
        rows = {row["id"]: row["from"] for row in json_lines("feeds", "list", "--data", data, env=env)}
        assert rows == {"file": "file", "hand": "hand"}
        wait_until(lambda: "file" in polled(), TIMEOUT_S)
    assert "doomed" not in polled()
