"""The part of the lock that an image gets: what riskwire and its extras need, with hashes, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "deploy" / "image" / "locked_requirements.py"
LOCKS = {"cpu": ROOT / "requirements.lock", "gpu": ROOT / "deploy" / "image" / "requirements.gpu.lock"}
DEVELOPERS = {"pytest", "mypy", "ruff", "hypothesis", "playwright", "confluent-kafka", "matplotlib", "onnx"}


def locked(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the script that an image is built with."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def names(text: str) -> set[str]:
    """Returns the names of the packages in a list of requirements."""
    return set(re.findall(r"^([a-z0-9][a-z0-9-]*)==", text, re.M))


def needed(package: str, extras: tuple[str, ...] = ()) -> set[str]:
    """Returns what an installed package needs, as its metadata says, with all that follows from it."""
    needs: set[str] = set()
    waiting = [(package, extras)]
    while waiting:
        name, wanted = waiting.pop()
        for line in requires(name) or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                continue
            dependency = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if dependency not in needs:
                needs.add(dependency)
                waiting.append((dependency, tuple(requirement.extras)))
    return needs


def test_the_image_gets_everything_that_riskwire_needs_and_no_tool_of_developers() -> None:
    done = locked(LOCKS["cpu"], "cpu", "kafka", "postgres")
    assert done.returncode == 0, done.stderr
    chosen = names(done.stdout)
    assert needed("riskwire", ("cpu", "kafka", "postgres")) - chosen == set()
    assert not chosen & DEVELOPERS


def test_an_extra_that_is_not_chosen_is_left_out() -> None:
    without = names(locked(LOCKS["cpu"], "cpu").stdout)
    assert not without & {"aiokafka", "psycopg", "pyarrow"}
    assert "onnxruntime" in without


def test_the_lock_of_the_gpu_image_has_the_runtime_for_cuda_instead_of_the_one_for_processors() -> None:
    chosen = names(locked(LOCKS["gpu"], "gpu", "kafka", "postgres").stdout)
    assert {"onnxruntime-gpu", "nvidia-cudnn-cu13"} <= chosen
    assert "onnxruntime" not in chosen
    assert needed("riskwire", ("kafka", "postgres")) - chosen == set()


@pytest.mark.parametrize("kind", LOCKS)
def test_every_package_has_a_version_and_hashes(kind: str) -> None:
    packages = re.split(r"^(?=[a-z0-9])", locked(LOCKS[kind], kind, "kafka", "postgres").stdout, flags=re.M)[1:]
    assert len(packages) > 60
    assert [package for package in packages if "--hash=sha256:" not in package] == []


def test_both_locks_agree_where_they_have_the_same_package() -> None:
    """An image for a GPU runs the versions that the tests ran."""
    versions = {
        kind: dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)(?=[^;\n]*\\$)", lock.read_text(encoding="utf-8"), re.M))
        for kind, lock in LOCKS.items()
    }
    shared = versions["cpu"].keys() & versions["gpu"].keys()
    assert len(shared) > 50
    different = {name for name in shared if versions["cpu"][name] != versions["gpu"][name]}
    assert different == set(), "run `make lock`"


def test_a_package_that_the_lock_lacks_is_named() -> None:
    done = locked(LOCKS["cpu"], "=no-such-package")
    assert done.returncode != 0
    assert "no-such-package" in done.stderr
    assert "make lock" in done.stderr
