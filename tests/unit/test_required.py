"""With RISKWIRE_REQUIRE set, a required test that is skipped fails the run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

SAMPLE = """
import pytest

@pytest.mark.needs_data
def test_needs_data():
    pytest.skip("no data here")

@pytest.mark.needs_kafka
@pytest.mark.skipif(True, reason="no kafka here")
def test_needs_kafka():
    pass

@pytest.mark.skip(reason="unrelated")
def test_needs_nothing():
    pass

@pytest.mark.needs_data
@pytest.mark.xfail(reason="known")
def test_known():
    assert False
"""


def outcome(folder: Path, required: str, sample: str = SAMPLE) -> tuple[int, str]:
    """Runs pytest on a test file with the project's conftest.py. Returns the exit code and the last line printed.

    Args:
        required: the value of RISKWIRE_REQUIRE, which names resources.
        sample: the source of the test file.
    """
    shutil.copy(TESTS / "conftest.py", folder / "conftest.py")
    (folder / "test_sample.py").write_text(sample)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    needs_data\n    needs_kafka\n    needs_browser\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        env={**os.environ, "RISKWIRE_REQUIRE": required},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("required", "code", "summary"),
    [
        ("", 0, "3 skipped, 1 xfailed"),
        ("browser", 0, "3 skipped, 1 xfailed"),
        ("data", 1, "1 failed, 2 skipped, 1 xfailed"),
        ("data, kafka", 1, "1 failed, 1 skipped, 1 xfailed, 1 error"),
    ],
)
def test_a_skipped_test_fails_if_its_resource_is_required(
    tmp_path: Path, required: str, code: int, summary: str
) -> None:
    """The sample has three skipped tests, which need data, Kafka and nothing, and one that is expected to fail.

    Args:
        required: the value of RISKWIRE_REQUIRE.
        code: the exit code of pytest.
        summary: what its last line contains.
    """
    returned, last = outcome(tmp_path, required)
    assert summary in last
    assert returned == code


def test_a_whole_file_may_not_be_skipped(tmp_path: Path) -> None:
    """The file skips itself as a whole, while RISKWIRE_REQUIRE names a resource."""
    returned, last = outcome(tmp_path, "data", "import pytest\npytest.skip('all', allow_module_level=True)\n")
    assert returned != 0
    assert "1 error" in last
