"""`riskwire replay` of the demo archive with the default bundle: undisturbed, killed, repeated, other partitions."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli import DownstreamRecords, environment, json_lines, read_downstream, riskwire, start_riskwire

from riskwire.app.processes import open_process
from riskwire.demo import corpus_path, watchlist_path
from riskwire.ingest.replay.run import replay
from riskwire.pipeline import INGEST, STAGES
from riskwire.settings import load_settings

CRISIS = "entity:norvane"
REUTERS = "streams/reuters_2009_2010.jsonl.gz"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the data directory of a finished replay of the demo archive, whose news is dated 2031."""
    data = tmp_path_factory.mktemp("undisturbed")
    completed = riskwire("replay", corpus_path(), "--watchlist", watchlist_path(), "--data", data)
    assert completed.returncode == 0, completed.stderr
    return data


def test_only_the_target_in_crisis_pages_and_its_alert_fires_escalates_and_resolves(undisturbed: Path) -> None:
    """Others have notices of single events, such as a recall, and its group may page with it.

    The statuses are cut out of the JSON of the records.
    """
    alerts = json_lines("alerts", "--data", undisturbed)
    paged = {alert["target"] for alert in alerts if alert["tier"] == "page" and alert["target"].startswith("entity:")}
    assert paged == {CRISIS}
    crisis = [record for record in read_downstream(undisturbed).alerts if f'"target":"{CRISIS}"' in record]
    statuses = [record.split('"status":"')[1].split('"')[0] for record in crisis]
    assert {"firing", "escalated", "resolved"} <= set(statuses)


def test_an_alert_has_everything_that_explains_it(undisturbed: Path) -> None:
    alert = next(alert for alert in json_lines("alerts", "--data", undisturbed) if alert["target"] == CRISIS)
    assert alert["kind"] == "event"
    assert alert["events"]
    assert alert["level"]["material"] >= alert["threshold"]
    assert "Norvane Motors" in alert["summary"]
    assert "would not have fired" in alert["would_not_fire"]
    assert alert["bundle"].startswith("finance-en@")
    for evidence in alert["evidence"]:
        assert 0 <= evidence["start"] < evidence["end"] <= len(evidence["text"])
        assert evidence["adverse"] >= 0.5
        assert evidence["url"].startswith("https://")


def test_every_article_is_analysed_once(undisturbed: Path) -> None:
    """Every group has read everything. Several articles may be one story, so there are fewer stories than articles."""
    assert read_downstream(undisturbed).repeated() == []
    status = json_lines("status", "--data", undisturbed)[0]
    articles = sum(1 for line in corpus_path().read_text().splitlines() if line.strip())
    assert status["topics"]["analyses"] == articles
    assert set(status["lag"].values()) == {0}
    market = next(row for row in json_lines("targets", "--data", undisturbed) if row["target"] == "market")
    assert 0 < market["stories"] <= market["articles"] <= articles
    stories = json_lines("stories", "--target", CRISIS, "--data", undisturbed)
    assert len(stories) > 10


def test_a_repeated_replay_does_not_change_the_records(undisturbed: Path) -> None:
    """The archive was replayed to its end on this data directory before."""
    before = read_downstream(undisturbed)
    completed = riskwire("replay", corpus_path(), "--watchlist", watchlist_path(), "--data", undisturbed)
    assert completed.returncode == 0, completed.stderr
    assert "Nothing new" in completed.stderr
    assert read_downstream(undisturbed) == before


def _kill_and_restart(data: Path, words: list[object], kills: int, seed: int) -> None:
    """Starts a replay `kills` times and kills it at a random moment; then runs it to its end.

    A replay that ends before its moment is not killed.

    Args:
        words: the arguments of `riskwire replay`.
        seed: the seed of the moments.
    """
    rng = random.Random(seed)
    for _ in range(kills):
        process = start_riskwire("replay", *words, "--data", data)
        try:
            process.communicate(timeout=rng.uniform(0.8, 5.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    completed = riskwire("replay", *words, "--data", data)
    assert completed.returncode == 0, completed.stderr


def _assert_equal(records: DownstreamRecords, expected: DownstreamRecords, seed: int) -> None:
    """Checks that no record occurs twice and that the records of each topic are the expected ones, in any order.

    Args:
        seed: what a failure prints, so that the run can be repeated.
    """
    assert records.repeated() == [], f"seed {seed}"
    assert records.analyses == expected.analyses, f"seed {seed}"
    assert records.signals == expected.signals, f"seed {seed}"
    assert records.trends == expected.trends, f"seed {seed}"
    assert records.alerts == expected.alerts, f"seed {seed}"


def test_sigkill_at_any_moment_does_not_change_the_records(undisturbed: Path, tmp_path: Path) -> None:
    """A replay that is killed four times leaves the records of the undisturbed one, and the same output of commands."""
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    _kill_and_restart(tmp_path, [corpus_path(), "--watchlist", watchlist_path()], kills=4, seed=seed)
    _assert_equal(read_downstream(tmp_path), read_downstream(undisturbed), seed)
    for command in ("alerts", "targets"):
        assert json_lines(command, "--data", tmp_path) == json_lines(command, "--data", undisturbed), f"seed {seed}"


@pytest.mark.needs_data
@pytest.mark.slow
def test_sigkill_does_not_change_the_records_of_real_stories(shared_data: Path, tmp_path: Path) -> None:
    """Replays the first 150 stories of the Reuters archive without a break, and once more with three kills."""
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    words: list[object] = [shared_data / REUTERS, "--limit", 150]
    assert riskwire("replay", *words, "--data", tmp_path / "undisturbed").returncode == 0
    _kill_and_restart(tmp_path / "killed", words, kills=3, seed=seed)
    _assert_equal(read_downstream(tmp_path / "killed"), read_downstream(tmp_path / "undisturbed"), seed)
    assert json_lines("status", "--data", tmp_path / "undisturbed")[0]["topics"]["analyses"] == 150


@pytest.mark.parametrize(("partitions", "salt"), [(1, 0), (3, 17)])
def test_the_distribution_over_partitions_does_not_change_the_records(
    undisturbed: Path, tmp_path: Path, partitions: int, salt: int
) -> None:
    """The undisturbed replay has two partitions.

    Args:
        partitions: the number of partitions of each topic that has several.
        salt: another salt distributes the articles over them in another way.
    """
    settings = load_settings(
        overrides={"data": tmp_path, "watchlist": watchlist_path(), "bus": {"partitions": partitions}}
    )

    async def run() -> None:
        """Replays the demo archive while all stages but ingest run, and closes the bus once everything is read."""
        specs = [spec for spec in STAGES if spec is not INGEST]
        async with open_process(settings, specs, page=False, live=False) as process, asyncio.TaskGroup() as group:
            group.create_task(process.run_stages())
            await replay(process.bus, corpus_path(), settings, partition_salt=salt)
            await process.wait_until_drained()
            await process.bus.close()

    asyncio.run(run())
    _assert_equal(read_downstream(tmp_path), read_downstream(undisturbed), seed=salt)


def test_a_replay_continues_from_articles_that_were_only_published(undisturbed: Path, tmp_path: Path) -> None:
    """The first run publishes articles without running any stage; the second runs the stages."""
    words = [corpus_path(), "--watchlist", watchlist_path(), "--data", tmp_path]
    completed = riskwire("replay", *words, "--publish-only")
    assert completed.returncode == 0, completed.stderr
    assert not read_downstream(tmp_path).analyses
    completed = riskwire("replay", *words)
    assert completed.returncode == 0, completed.stderr
    _assert_equal(read_downstream(tmp_path), read_downstream(undisturbed), seed=0)


def test_a_second_process_on_the_same_data_directory_is_refused(tmp_path: Path) -> None:
    """The demo runs when a replay starts; the error names its directory and its process."""
    first = start_riskwire("demo", "--port", "0", "--data", tmp_path, env=environment())
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


def test_an_interrupted_replay_exits_with_an_error(tmp_path: Path) -> None:
    """The replay is slow enough to be still running when its bus file exists and SIGTERM is sent."""
    process = start_riskwire("replay", corpus_path(), "--speed", "1000", "--data", tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "bus.sqlite").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "interrupted" in stderr


def test_run_refuses_a_data_directory_with_news_of_the_future(undisturbed: Path) -> None:
    """The directory holds a finished replay of the demo, whose news is dated 2031."""
    completed = riskwire("run", "--port", "0", "--data", undisturbed)
    assert completed.returncode == 2
    assert "news of the future" in completed.stderr
    assert "--data" in completed.stderr
