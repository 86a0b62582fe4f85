"""The benchmark on Kafka still runs, with sizes that say nothing of speed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from broker import missing_prerequisite

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

BENCH = Path(__file__).parents[2] / "bench" / "bench_kafka.py"
TINY = ["--articles", "80", "--rounds", "1", "--batch", "20", "--partitions", "2", "--targets", "50"]


def test_the_benchmark_prints_a_line_for_each_stage_and_bare_loop() -> None:
    missing = missing_prerequisite()
    if missing is not None:
        pytest.skip(missing)
    done = subprocess.run(
        [sys.executable, str(BENCH), *TINY, "--only", "bus,infer,alert,sink,restore"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"COLUMNS": "160"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for row in ("bus and loop", "infer, a model", "alert (", "sink-analyses", "sink-signals", "taking over"):
        assert row in done.stdout, done.stdout
