"""The chaos run itself, small: every kind of fault at least once; and builds that are broken on purpose are caught."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from broker import how_to_get_it
from harness.plan import AIMED, KINDS

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow, pytest.mark.timeout(900)]

RUN = Path(__file__).with_name("run.py")
ARTICLES = 300


@pytest.fixture(scope="module")
def seed() -> int:
    """`RISKWIRE_TEST_SEED` runs one again; the same for all, which then share one calm run."""
    return int(os.environ.get("RISKWIRE_TEST_SEED", "0")) or random.randrange(1, 1_000_000)


def chaos(folder: Path, *words: object) -> tuple[int, str]:
    """Do a run; its exit code and what it said (printed too: pytest shows it where the test fails)."""
    missing = how_to_get_it()
    if missing is not None:
        pytest.skip(missing)
    done = subprocess.run(
        [sys.executable, str(RUN), "--folder", str(folder), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=800,
        check=False,
    )
    print(done.stdout)
    return done.returncode, done.stdout


def counted(report: str) -> dict[str, int]:
    """The closing line of a report."""
    found = re.search(r"^in all: checked (\d+), lost (\d+), doubled (\d+), differing (\d+)", report, re.MULTILINE)
    assert found is not None, "no report"
    return dict(zip(("checked", "lost", "doubled", "differing"), map(int, found.groups()), strict=True))


def test_under_every_kind_of_fault_nothing_is_lost_nothing_doubled_and_nothing_differs(
    tmp_path: Path, seed: int
) -> None:
    code, report = chaos(
        *(tmp_path / "run", "--seed", seed, "--articles", ARTICLES, "--faults", len(KINDS), "--every", 1.5),
        *("--feeds", 4, "--drain", 240),
    )
    assert code == 0
    figures = counted(report)
    assert (figures["lost"], figures["doubled"], figures["differing"]) == (0, 0, 0)
    assert figures["checked"] > 2_000
    for live in ("live articles", "live analyses"):
        checked = re.search(rf"^{live} +(\d+)", report, re.MULTILINE)
        assert checked is not None
        assert int(checked.group(1)) > 20, live
    assert f"{len(KINDS)} of them while news was flowing" in report
    assert re.search(r"^live dead-letters +0 ", report, re.MULTILINE), "a row of its own"
    for kind in KINDS:
        assert re.search(rf"^ +\d+  {re.escape(kind)}$", report, re.MULTILINE), kind
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("broken", ["position", "state"])
def test_a_build_that_is_broken_on_purpose_is_caught(tmp_path: Path, seed: int, broken: str) -> None:
    words = [word for kind in AIMED for word in ("--only", kind)]
    code, report = chaos(
        *(tmp_path / "run", "--seed", seed, "--articles", ARTICLES, "--faults", 6, "--every", 1.5),
        *("--feeds", 0, "--broken", broken, *words),
    )
    assert code == 1
    assert counted(report)["lost"] > 0
    analyses = re.search(r"^analyses +(\d+)", report, re.MULTILINE)
    assert analyses is not None
    assert int(analyses.group(1)) > 50, "it reads news: not all is lost because it does not run at all"
    assert "NOT ALL WAS READ" not in report
    assert "--drain 300 --only" in report.splitlines()[-1]
    assert f"--broken {broken}" in report.splitlines()[-1]
