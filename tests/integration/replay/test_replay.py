"""A replay of the demo's crisis through every stage with the bundle that ships: killed, spread, run twice."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli import Left, environment, left_in, lines, riskwire, started

from riskwire.app.monitor import open_monitor
from riskwire.demo import corpus_path, watchlist_path
from riskwire.ingest.replay.run import replay
from riskwire.settings import load_settings

CRISIS = "entity:norvane"
REUTERS = "streams/reuters_2009_2010.jsonl.gz"


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of an undisturbed replay."""
    data = tmp_path_factory.mktemp("calm")
    done = riskwire("replay", corpus_path(), "--watchlist", watchlist_path(), "--data", data)
    assert done.returncode == 0, done.stderr
    return data


def test_the_crisis_fires_escalates_and_resolves_and_nothing_else_alerts(calm: Path) -> None:
    alerts = lines("alerts", "--data", calm)
    assert {alert["target"] for alert in alerts} == {CRISIS}
    statuses = [record.split('"status":"')[1].split('"')[0] for record in left_in(calm).alerts]
    assert {"firing", "escalated", "resolved"} <= set(statuses)


def test_an_alert_carries_all_that_explains_it(calm: Path) -> None:
    alert = lines("alerts", "--data", calm)[-1]
    assert alert["surprise"] >= alert["threshold"]
    assert alert["summary"]
    assert "would not have fired" in alert["would_not_fire"]
    assert alert["bundle"].startswith("finance-en@")
    for evidence in alert["evidence"]:
        assert 0 <= evidence["start"] < evidence["end"] <= len(evidence["text"])
        assert evidence["negative"] >= 0.5
        assert evidence["url"].startswith("https://")


def test_every_article_is_analysed_once_and_the_command_line_says_so(calm: Path) -> None:
    left = left_in(calm)
    assert left.doubled() == []
    status = lines("status", "--data", calm)[0]
    articles = sum(1 for line in corpus_path().read_text().splitlines() if line.strip())
    assert status["topics"]["analyses"] == articles
    assert set(status["lag"].values()) == {0}
    market = next(row for row in lines("targets", "--data", calm) if row["target"] == "market")
    assert 0 < market["stories"] <= market["articles"] <= articles
    stories = lines("stories", "--target", CRISIS, "--data", calm)
    assert len(stories) > 10


def test_a_second_replay_of_the_same_archive_changes_nothing(calm: Path) -> None:
    before = left_in(calm)
    done = riskwire("replay", corpus_path(), "--watchlist", watchlist_path(), "--data", calm)
    assert done.returncode == 0, done.stderr
    assert "Nothing new" in done.stderr
    assert left_in(calm) == before


def _killed_again_and_again(data: Path, words: list[object], kills: int, seed: int) -> None:
    """SIGKILL a replay at random moments, start it again, and let the last one finish."""
    draw = random.Random(seed)
    for _ in range(kills):
        process = started("replay", *words, "--data", data)
        try:
            process.communicate(timeout=draw.uniform(0.8, 5.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    done = riskwire("replay", *words, "--data", data)
    assert done.returncode == 0, done.stderr


def _same(disturbed: Left, calm: Left, seed: int) -> None:
    assert disturbed.doubled() == [], f"seed {seed}"
    assert disturbed.analyses == calm.analyses, f"seed {seed}"
    assert disturbed.signals == calm.signals, f"seed {seed}"
    assert disturbed.trends == calm.trends, f"seed {seed}"
    assert disturbed.alerts == calm.alerts, f"seed {seed}"


def test_kill_9_at_any_moment_changes_nothing(calm: Path, tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    _killed_again_and_again(tmp_path, [corpus_path(), "--watchlist", watchlist_path()], kills=4, seed=seed)
    _same(left_in(tmp_path), left_in(calm), seed)
    for command in ("alerts", "targets"):
        assert lines(command, "--data", tmp_path) == lines(command, "--data", calm), f"seed {seed}"


@pytest.mark.needs_data
@pytest.mark.slow
def test_kill_9_in_150_real_stories_changes_nothing(shared_data: Path, tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    words: list[object] = [shared_data / REUTERS, "--limit", 150]
    assert riskwire("replay", *words, "--data", tmp_path / "calm").returncode == 0
    _killed_again_and_again(tmp_path / "killed", words, kills=3, seed=seed)
    _same(left_in(tmp_path / "killed"), left_in(tmp_path / "calm"), seed)
    assert lines("status", "--data", tmp_path / "calm")[0]["topics"]["analyses"] == 150


@pytest.mark.parametrize(("partitions", "salt"), [(1, 0), (3, 17)])
def test_how_articles_are_spread_over_partitions_changes_nothing(
    calm: Path, tmp_path: Path, partitions: int, salt: int
) -> None:
    settings = load_settings(
        overrides={"data": tmp_path, "watchlist": watchlist_path(), "bus": {"partitions": partitions}}
    )

    async def run() -> None:
        async with open_monitor(settings, live=False) as monitor, asyncio.TaskGroup() as group:
            group.create_task(monitor.run_stages())
            await replay(monitor.bus, corpus_path(), settings, partition_salt=salt)
            await monitor.drained()
            await monitor.bus.close()

    asyncio.run(run())
    _same(left_in(tmp_path), left_in(calm), seed=salt)


def test_publish_only_writes_articles_and_a_later_replay_reads_them(calm: Path, tmp_path: Path) -> None:
    words = [corpus_path(), "--watchlist", watchlist_path(), "--data", tmp_path]
    done = riskwire("replay", *words, "--publish-only")
    assert done.returncode == 0, done.stderr
    assert not left_in(tmp_path).analyses
    done = riskwire("replay", *words)
    assert done.returncode == 0, done.stderr
    _same(left_in(tmp_path), left_in(calm), seed=0)


def test_two_processes_do_not_run_the_stages_of_one_directory(tmp_path: Path) -> None:
    first = started("demo", "--port", "0", "--data", tmp_path, env=environment())
    try:
        assert first.stderr is not None
        assert any("unfolds at http://" in line for line in first.stderr)
        second = riskwire("replay", corpus_path(), "--data", tmp_path)
        assert second.returncode == 2
        assert str(tmp_path) in second.stderr
        assert f"process {first.pid}" in second.stderr
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=120)


def test_an_interrupted_replay_says_so_and_is_no_success(tmp_path: Path) -> None:
    process = started("replay", corpus_path(), "--speed", "1000", "--data", tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "bus.sqlite").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # between two looks
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "interrupted" in told


def test_live_news_does_not_follow_news_of_the_future(calm: Path) -> None:
    done = riskwire("run", "--port", "0", "--data", calm)
    assert done.returncode == 2
    assert "news of the future" in done.stderr
    assert "--data" in done.stderr
