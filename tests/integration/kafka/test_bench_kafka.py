"""The benchmark on Kafka runs, with sizes too small to measure anything."""

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


def test_the_benchmark_prints_a_row_for_each_stage() -> None:
    """Runs the benchmark in a process. The row of the real model and that of a transaction are left out."""
    missing = missing_prerequisite()
    if missing is not None:
        pytest.skip(missing)
    completed = subprocess.run(
        [sys.executable, str(BENCH), *TINY, "--only", "bus,infer,alert,sink,restore"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"COLUMNS": "160"},
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    for row in ("bus and loop", "infer, a model", "alert (", "sink-analyses", "sink-signals", "taking over"):
        assert row in completed.stdout, completed.stdout
