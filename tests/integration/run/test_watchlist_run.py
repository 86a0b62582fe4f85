"""The watchlist changed by command while `riskwire run` is at work, by another process and by the API."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli import environment, lines, riskwire, started

PATIENCE_S = 90
WORDS = ["crash", "fire", "strike", "leak", "fine", "delay", "theft", "flood", "raid", "outage", "boycott", "slump"]


def story(day: int, hour: int, name: str, word: str) -> dict[str, str]:
    """A negative story of its own, as an archive has it."""
    rest = [f"{word}{letter}" for letter in "abcdefghijklm"]
    return {
        "published_at": f"2026-03-{day:02d}T{hour:02d}:00:00Z",
        "title": f"Fraud at {name}: {' '.join(rest[:6])}",
        "url": f"https://news.example/{day}/{hour}/{word}",
        "source": f"wire-{hour % 3}",
        "summary": f"{' '.join(rest[6:])} is a crisis.",
    }


@dataclass
class Run:
    """A running monitor and the command line beside it."""

    data: Path
    env: dict[str, str]
    url: str

    def publish(self, folder: Path, name: str, stories: Sequence[dict[str, str]]) -> None:
        archive = folder / f"{name}.jsonl"
        archive.write_text("".join(json.dumps(one) + "\n" for one in stories), encoding="utf-8")
        done = riskwire("replay", archive, "--publish-only", "--data", self.data, env=self.env)
        assert done.returncode == 0, done.stderr

    def watchlist(self, *words: object) -> subprocess.CompletedProcess[str]:
        return riskwire("watchlist", *words, "--data", self.data, env=self.env)

    def until(self, holds: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """Stories by target, once this holds of them and nothing is left to be read."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            lag = self.ask("GET", "/api/v1/status")[1]["lag"]
            found = {row["target"]: row["stories"] for row in self.ask("GET", "/api/v1/targets")[1]}
            if not any(lag.values()) and holds(found):
                return found
            time.sleep(0.1)  # between two looks
        raise AssertionError(f"never so: {found}, behind {lag}")

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
def run(tmp_path: Path, tiny_bundle: Path) -> Iterator[Run]:
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text("- {id: none, url: 'https://news.example/feed', enabled: false}\n")
    env = environment(RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle), RISKWIRE_INFERENCE__THREADS="1")
    data = tmp_path / "data"
    process = started("run", "--feeds", feeds, "--data", data, "--port", "0", env=env)
    try:
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield Run(data, env, found[0])
                break
        else:
            raise AssertionError("".join(said))
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait(timeout=30)


def test_what_is_commanded_beside_a_running_monitor_holds_for_the_news_that_follows(run: Run, tmp_path: Path) -> None:
    past = [story(1, hour, "Acme Corp", word) for hour, word in enumerate(WORDS[:8])]
    run.publish(tmp_path, "past", [*past, story(1, 9, "Globex Inc", "slump")])
    before = run.until(lambda found: (found.get("entity:name:acme"), found.get("market")) == (8, 9))
    assert before["entity:name:globex"] == 1

    done = run.watchlist("add", "acme", "--name", "Acme Corp", "--group", "makers", "--by", "ada")
    assert (done.returncode, done.stdout) == (0, "set acme: Acme Corp\n"), done.stderr
    assert "From now on only what is on the watchlist is followed." in done.stderr
    run.until(lambda found: found.get("entity:acme") == found.get("group:makers") == 8)
    shown = lines("stories", "--target", "entity:acme", "--data", run.data, env=run.env)
    assert all(
        one["evidence"]["text"][one["evidence"]["start"] : one["evidence"]["end"]] == "Acme Corp" for one in shown
    )

    run.publish(tmp_path, "news", [story(2, 1, "Acme Corp", "raid"), story(2, 2, "Globex Inc", "outage")])
    now = run.until(lambda found: (found.get("entity:acme"), found["market"]) == (9, 11))
    assert now["entity:name:acme"] == 8
    assert now["entity:name:globex"] == 1
    # The very same stories fire for the name that was followed as they came, and not for the target they are past to.
    run.until(lambda _: "entity:name:acme" in alerted(run))
    assert not alerted(run) & {"entity:acme", "group:makers"}

    clash = run.watchlist("add", "other", "--name", "Other", "--alias", "ACME")
    assert clash.returncode == 2
    assert "'acme' and 'other' both claim the name 'ACME'" in clash.stderr
    status, problem = run.ask("PUT", "/api/v1/watchlist/other", {"by": "bob", "name": "acme"})
    assert (status, "both claim" in problem["detail"]) == (409, True)
    assert run.ask("PUT", "/api/v1/watchlist/globex", {"by": "bob", "name": "Globex Inc"})[0] == 202
    assert [row["id"] for row in lines("watchlist", "list", "--data", run.data, env=run.env)] == ["acme", "globex"]
    run.until(lambda found: found.get("entity:globex") == 2)
    run.until(lambda _: [one["entity"] for one in mentions(run)] == ["globex"])

    assert run.watchlist("remove", "acme", "--by", "eve").returncode == 0
    assert run.ask("DELETE", "/api/v1/watchlist/acme?by=eve")[0] == 404
    run.until(lambda _: len(run.ask("GET", "/api/v1/watchlist/log")[1]) == 3)
    log = lines("watchlist", "log", "--data", run.data, env=run.env)
    assert [(row["kind"], row["target"], row["by"]) for row in log] == [
        ("watchlist_remove", "entity:acme", "eve"),
        ("watchlist_set", "entity:globex", "bob"),
        ("watchlist_set", "entity:acme", "ada"),
    ]
    assert run.ask("GET", "/api/v1/watchlist/log")[1] == log
    run.publish(tmp_path, "later", [story(3, 1, "Acme Corp", "spill"), story(3, 2, "Globex Inc", "glitch")])
    end = run.until(lambda found: (found.get("entity:globex"), found["market"]) == (3, 13))
    assert end["entity:acme"] == 9


def alerted(run: Run) -> set[str]:
    return {row["target"] for row in run.ask("GET", "/api/v1/alerts")[1]}


def mentions(run: Run) -> list[dict[str, Any]]:
    status, results = run.ask("POST", "/api/v1/analyse", [{"id": 1, "text": "Globex Inc gains"}])
    assert status == 200
    return results[0]["mentions"]
