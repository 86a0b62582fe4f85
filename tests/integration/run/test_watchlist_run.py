"""Commands and API requests that change the watchlist of a running monitor."""

from __future__ import annotations

import json
import random
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
from cli import environment, json_lines, riskwire, start_riskwire

from riskwire.ingest.parsing.language.english import WORDS_FILE

TIMEOUT_S = 90
NEW_TARGETS = {"entity:acme", "group:makers"}
ENGLISH = [word for word in WORDS_FILE.read_text(encoding="utf-8").split() if len(word) > 5]
WORDS = ["crash", "fire", "strike", "leak", "fine", "delay", "theft", "flood", "raid", "outage", "boycott", "slump"]


def story(day: int, hour: int, name: str, word: str) -> dict[str, str]:
    """Returns a negative story of common words that resembles no other, as a row of an archive."""
    words = random.Random(word).sample(ENGLISH, 13)
    return {
        "published_at": f"2026-03-{day:02d}T{hour:02d}:00:00Z",
        "title": f"Fraud at {name}: {' '.join(words[:6])}",
        "url": f"https://news.example/{day}/{hour}/{word}",
        "source": f"wire-{hour % 3}",
        "summary": f"{' '.join(words[6:])} is a crisis.",
    }


@dataclass
class RunningMonitor:
    """A running monitor, and the command line on its data directory."""

    data: Path
    env: dict[str, str]
    url: str

    def publish(self, folder: Path, name: str, stories: Sequence[dict[str, str]]) -> None:
        """Writes stories to an archive NAME.jsonl in a folder, and replays it into the running monitor."""
        archive = folder / f"{name}.jsonl"
        archive.write_text("".join(json.dumps(story) + "\n" for story in stories), encoding="utf-8")
        completed = riskwire("replay", archive, "--publish-only", "--data", self.data, env=self.env)
        assert completed.returncode == 0, completed.stderr

    def watchlist(self, *words: object) -> subprocess.CompletedProcess[str]:
        return riskwire("watchlist", *words, "--data", self.data, env=self.env)

    def wait_until(self, condition: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """Waits until a condition on the stories by target holds and there is no lag; returns the stories by target."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            lag = self.request("GET", "/api/v1/status")[1]["lag"]
            stories = {row["target"]: row["stories"] for row in self.request("GET", "/api/v1/targets")[1]}
            if not any(lag.values()) and condition(stories):
                return stories
            time.sleep(0.1)
        raise AssertionError(f"not within {TIMEOUT_S} s: {stories}, lag {lag}")

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Sends a request with a JSON body to the page. Returns the status and the parsed answer, also for an error."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
def run(tmp_path: Path, tiny_bundle: Path) -> Iterator[RunningMonitor]:
    """`riskwire run` without a feed that it polls, once it serves; it must exit with 0 on SIGTERM."""
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text("- {id: none, url: 'https://news.example/feed', enabled: false}\n")
    env = environment(RISKWIRE_INFERENCE__BUNDLE=str(tiny_bundle), RISKWIRE_INFERENCE__THREADS="1")
    data = tmp_path / "data"
    process = start_riskwire("run", "--feeds", feeds, "--data", data, "--port", "0", env=env)
    try:
        assert process.stderr is not None
        printed: list[str] = []
        for line in process.stderr:
            printed.append(line)
            if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield RunningMonitor(data, env, match[0])
                break
        else:
            raise AssertionError("".join(printed))
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait(timeout=30)


def test_a_change_of_the_watchlist_applies_to_the_news_after_it(run: RunningMonitor, tmp_path: Path) -> None:
    """Without a watchlist every name is followed (`entity:name:acme`), with one only its entities (`entity:acme`).

    An added entity and its group get the stories from before as their past, which fires no alert; a removed one gets no
    further stories. Two entities cannot claim one name. The log shows who changed what, the newest change first.
    """
    past = [story(1, hour, "Acme Corp", word) for hour, word in enumerate(WORDS[:8])]
    run.publish(tmp_path, "past", [*past, story(1, 9, "Globex Inc", "slump")])
    before = run.wait_until(lambda stories: (stories.get("entity:name:acme"), stories.get("market")) == (8, 9))
    assert before["entity:name:globex"] == 1

    added = run.watchlist("add", "acme", "--name", "Acme Corp", "--group", "makers", "--by", "ada")
    assert (added.returncode, added.stdout) == (0, "set acme: Acme Corp\n"), added.stderr
    assert "From now on riskwire follows only what is on the watchlist." in added.stderr
    run.wait_until(lambda stories: stories.get("entity:acme") == stories.get("group:makers") == 8)
    acme_stories = json_lines("stories", "--target", "entity:acme", "--data", run.data, env=run.env)
    evidence = [row["evidence"] for row in acme_stories]
    assert all(span["text"][span["start"] : span["end"]] == "Acme Corp" for span in evidence)

    run.publish(tmp_path, "news", [story(2, 1, "Acme Corp", "raid"), story(2, 2, "Globex Inc", "outage")])
    now = run.wait_until(lambda stories: (stories.get("entity:acme"), stories["market"]) == (9, 11))
    assert now["entity:name:acme"] == 8
    assert now["entity:name:globex"] == 1
    # The same stories fire for the name that was followed when they arrived, but are only history for the new target.
    run.wait_until(lambda _: "entity:name:acme" in targets_with_alerts(run))
    of_new_targets = [row for row in run.request("GET", "/api/v1/alerts")[1] if row["target"] in NEW_TARGETS]
    assert all(alert["stories"] == 1 for alert in of_new_targets), "only the story after the change may fire"

    clash = run.watchlist("add", "other", "--name", "Other", "--alias", "ACME")
    assert clash.returncode == 2
    assert "'acme' and 'other' both claim the name 'ACME'" in clash.stderr
    status, problem = run.request("PUT", "/api/v1/watchlist/other", {"by": "bob", "name": "acme"})
    assert (status, "both claim" in problem["detail"]) == (409, True)
    assert run.request("PUT", "/api/v1/watchlist/globex", {"by": "bob", "name": "Globex Inc"})[0] == 202
    assert [row["id"] for row in json_lines("watchlist", "list", "--data", run.data, env=run.env)] == ["acme", "globex"]
    run.wait_until(lambda stories: stories.get("entity:globex") == 2)
    run.wait_until(lambda _: [mention["entity"] for mention in mentioned_now(run)] == ["globex"])

    assert run.watchlist("remove", "acme", "--by", "eve").returncode == 0
    assert run.request("DELETE", "/api/v1/watchlist/acme?by=eve")[0] == 404
    run.wait_until(lambda _: len(run.request("GET", "/api/v1/watchlist/log")[1]) == 3)
    log = json_lines("watchlist", "log", "--data", run.data, env=run.env)
    assert [(row["kind"], row["target"], row["by"]) for row in log] == [
        ("watchlist_remove", "entity:acme", "eve"),
        ("watchlist_set", "entity:globex", "bob"),
        ("watchlist_set", "entity:acme", "ada"),
    ]
    assert run.request("GET", "/api/v1/watchlist/log")[1] == log
    run.publish(tmp_path, "later", [story(3, 1, "Acme Corp", "spill"), story(3, 2, "Globex Inc", "glitch")])
    end = run.wait_until(lambda stories: (stories.get("entity:globex"), stories["market"]) == (3, 13))
    assert end["entity:acme"] == 9


def targets_with_alerts(run: RunningMonitor) -> set[str]:
    return {row["target"] for row in run.request("GET", "/api/v1/alerts")[1]}


def mentioned_now(run: RunningMonitor) -> list[dict[str, Any]]:
    status, results = run.request("POST", "/api/v1/analyse", [{"id": 1, "text": "Globex Inc gains"}])
    assert status == 200
    return results[0]["mentions"]
