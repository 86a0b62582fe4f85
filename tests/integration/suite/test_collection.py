"""The suite collects the same tests whenever it is collected, so that several processes can share it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def collected(hash_seed: int) -> list[str]:
    """Collects the whole suite in a new process; returns the test ids in order."""
    collection = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert collection.returncode == 0, collection.stdout[-2_000:] + collection.stderr[-2_000:]
    return [line for line in collection.stdout.splitlines() if "::" in line]


@pytest.mark.slow
def test_two_processes_seconds_apart_collect_the_same_tests_in_the_same_order() -> None:
    """A hash seed changes the order of sets, which a test id or the order of tests may depend on by mistake."""
    # One collection takes several seconds. So a test id that holds a time, such as the header of gzip data, differs.
    first = collected(hash_seed=1)
    second = collected(hash_seed=2)
    assert len(first) > 1_000
    assert [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]] == []
    assert len(set(first)) == len(first), "each id names one test"
