"""A small chaos run with each kind of fault, an upgrade, and chaos runs that must detect services with a known bug."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from broker import missing_prerequisite
from harness.faults.plan import FAULT_KINDS, TRANSACTION_FAULTS
from harness.faults.rolling import UPGRADE_ORDER

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow, pytest.mark.timeout(900)]

RUN = Path(__file__).with_name("run.py")
ARTICLES = 300


@pytest.fixture(scope="module")
def seed() -> int:
    """The seed of all runs, which share one reference run; `RISKWIRE_TEST_SEED` repeats a run."""
    return int(os.environ.get("RISKWIRE_TEST_SEED", "0")) or random.randrange(1, 1_000_000)


def run_chaos(folder: Path, *arguments: object) -> tuple[int, str]:
    """Returns exit code and output of a run. Also prints the output, which pytest shows if the test fails."""
    missing = missing_prerequisite()
    if missing is not None:
        pytest.skip(missing)
    process = subprocess.run(
        [sys.executable, str(RUN), "--folder", str(folder), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=800,
        check=False,
    )
    print(process.stdout)
    return process.returncode, process.stdout


def totals(report: str) -> dict[str, int]:
    """Returns the numbers of the line of totals."""
    match = re.search(r"^total: checked (\d+), lost (\d+), doubled (\d+), differing (\d+)", report, re.MULTILINE)
    assert match is not None, "no report"
    return dict(zip(("checked", "lost", "doubled", "differing"), map(int, match.groups()), strict=True))


def test_under_every_kind_of_fault_no_record_is_lost_doubled_or_different(tmp_path: Path, seed: int) -> None:
    """Each kind of fault is injected once. A run that succeeds exits with 0, and deletes its folder."""
    code, report = run_chaos(
        *(tmp_path / "run", "--seed", seed, "--articles", ARTICLES, "--faults", len(FAULT_KINDS), "--every", 1.5),
        *("--feeds", 4, "--drain", 240),
    )
    assert code == 0
    numbers = totals(report)
    assert (numbers["lost"], numbers["doubled"], numbers["differing"]) == (0, 0, 0)
    assert numbers["checked"] > 2_000
    for live in ("live articles", "live analyses"):
        checked = re.search(rf"^{live} +(\d+)", report, re.MULTILINE)
        assert checked is not None
        assert int(checked.group(1)) > 20, live
    assert f"{len(FAULT_KINDS)} of them while news was published" in report
    assert re.search(r"^live dead-letters +0 ", report, re.MULTILINE), "live dead letters have a row"
    for kind in FAULT_KINDS:
        assert re.search(rf"^ +\d+  {re.escape(kind)}$", report, re.MULTILINE), kind
    assert not (tmp_path / "run").exists()


def test_with_decisions_every_notification_and_every_absence_is_explained_by_the_log(tmp_path: Path, seed: int) -> None:
    """notify is killed, suspended and replaced, and connections are cut, while people decide by the API."""
    kinds = ("SIGKILL", "SIGSTOP, SIGCONT", "connections cut", "worker added", "worker removed")
    code, report = run_chaos(
        *(tmp_path / "run", "--seed", seed, "--articles", ARTICLES, "--faults", 10, "--every", 2.5, "--decisions"),
        *("--feeds", 0, "--drain", 240, *(option for kind in kinds for option in ("--only", kind))),
    )
    assert code == 0
    numbers = totals(report)
    assert (numbers["lost"], numbers["doubled"], numbers["differing"]) == (0, 0, 0)
    decided = re.search(r"^decisions in the log: (\d+) ", report, re.MULTILINE)
    assert decided is not None
    assert int(decided.group(1)) >= 5
    assert re.search(r"^notifications that did not arrive, by the reason in the log: [1-9]", report, re.MULTILINE)


def test_an_upgrade_and_its_rollback_under_load_lose_nothing_and_double_nothing(tmp_path: Path, seed: int) -> None:
    """Old and new workers read the same groups side by side, one service after the other, while news flows.

    The next version writes fields and keys of state that this one does not know. The order is that of deploy/README.md.
    """
    steps = 2 * len(UPGRADE_ORDER)
    code, report = run_chaos(
        *(tmp_path / "run", "--seed", seed, "--articles", ARTICLES, "--faults", steps, "--every", 16),
        *("--feeds", 0, "--drain", 240, "--keep", "--only", "service upgraded or rolled back, worker by worker"),
    )
    assert code == 0
    numbers = totals(report)
    assert (numbers["lost"], numbers["doubled"], numbers["differing"]) == (0, 0, 0)
    assert numbers["checked"] > 2_000
    while_publishing = re.search(r"(\d+) of them while news was published", report)
    assert while_publishing is not None
    assert int(while_publishing.group(1)) >= steps // 2
    assert "did not serve within" not in report
    versions = re.findall(r": (\w+), \d workers, to version (\w+)$", report, re.MULTILINE)
    assert versions == [(role, "next") for role in UPGRADE_ORDER] + [(role, "before") for role in UPGRADE_ORDER[::-1]]
    for topic in ("analyses", "signals", "alerts"):
        written = re.search(rf"^{topic}: (\d+) of (\d+) records by the next version$", report, re.MULTILINE)
        assert written is not None, topic
        assert 0 < int(written.group(1)) < int(written.group(2)), f"both versions wrote {topic}"


@pytest.mark.parametrize("known_bug", ["position", "state"])
def test_services_with_a_known_bug_are_detected(tmp_path: Path, seed: int, known_bug: str) -> None:
    """The bug commits the read position (`position`) or the state (`state`) outside the transaction of a step.

    Workers are killed and suspended at the first request of a step's transaction, when the bug has already committed
    the position of infer or the state of alert: what that step of at most eight records would have written is lost.
    Such a run exits with 1, and its last line is the command that repeats it.
    """
    options = [option for kind in TRANSACTION_FAULTS for option in ("--only", kind)]
    code, report = run_chaos(
        *(tmp_path / "run", "--seed", seed, "--articles", ARTICLES, "--faults", 6, "--every", 1.5),
        *("--feeds", 0, "--broken", known_bug, *options),
    )
    assert code == 1
    assert totals(report)["lost"] > 0
    analyses = re.search(r"^analyses +(\d+)", report, re.MULTILINE)
    assert analyses is not None
    assert int(analyses.group(1)) > 50, "the services run: they lose some records, not all"
    assert "NOT EVERYTHING WAS READ" not in report
    assert "--drain 300 --store sqlite --only" in report.splitlines()[-1]
    assert f"--broken {known_bug}" in report.splitlines()[-1]
