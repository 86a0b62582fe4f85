"""Wheel and sdist, built and tried in an empty environment, as someone has it who only has the file.

The environment is filled from the package index, which takes minutes, so this is not part of `make test`: `make
dist-test` runs it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
TEXTS = '{"id": "a", "text": "Acme Corp files for bankruptcy after fraud."}\n'
ALERT_S = 300.0


def run(*command: object, cwd: Path, **variables: str) -> str:
    """Runs a command, which must succeed, without this environment's settings; returns its output."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=_environment() | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=1_200,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-3_000:]}{done.stderr[-3_000:]}"
    return done.stdout


def _environment() -> dict[str, str]:
    """Returns the environment without settings of riskwire and without the packages of this process."""
    hidden = ("RISKWIRE_", "VIRTUAL_ENV", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with wheel and sdist, built from the files that git knows, with the locked version of the builder."""
    folder = tmp_path_factory.mktemp("dist")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    source = folder / "source"
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    script = ROOT / "deploy" / "image" / "locked_requirements.py"
    (folder / "builder.txt").write_text(
        run(sys.executable, script, ROOT / "requirements.lock", "=hatchling", cwd=source)
    )
    run(sys.executable, "-m", "venv", folder / "builder", cwd=folder)
    python = folder / "builder" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", folder / "builder.txt", cwd=folder)
    run(python, "-m", "hatchling", "build", "-d", folder / "dist", cwd=source)
    for path in sorted((folder / "dist").iterdir()):
        print(f"\n{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    """The wheel."""
    return distributions / f"riskwire-{VERSION}-py3-none-any.whl"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment into which only the wheel was installed, with the extra `cpu`."""
    folder = tmp_path_factory.mktemp("empty")
    started = time.monotonic()
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    run(folder / "venv" / "bin" / "python", "-m", "pip", "install", "-q", f"{wheel}[cpu]", cwd=folder)
    print(f"\npip install {wheel.name}[cpu]: {time.monotonic() - started:.0f} s")
    return folder / "venv" / "bin"


def test_wheel_and_sdist_have_the_version_and_the_same_packages(distributions: Path, wheel: Path) -> None:
    sdist = f"riskwire-{VERSION}"
    assert {path.name for path in distributions.iterdir()} == {wheel.name, f"{sdist}.tar.gz"}
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    with tarfile.open(distributions / f"{sdist}.tar.gz") as archive:
        names = [member.name.removeprefix(f"{sdist}/") for member in archive if member.isfile()]
    packages = ("services/riskwire/", "models/riskwire_models/")
    in_sdist = {name.split("/", 1)[1] for name in names if name.startswith(packages)}
    assert in_wheel == in_sdist
    assert {"README.md", "LICENSE", "pyproject.toml"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "deploy/"))]


def test_the_wheel_has_every_file_of_the_packages(distributions: Path, wheel: Path) -> None:
    """The model, tables, migrations and the page are in it."""
    source = distributions.parent / "source"
    packages = (source / "services" / "riskwire", source / "models" / "riskwire_models")
    files = {
        str(path.relative_to(folder.parent)) for folder in packages for path in folder.rglob("*") if path.is_file()
    }
    assert files - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_the_version_is_that_of_the_wheel_and_of_the_changelog(installed: Path, tmp_path: Path) -> None:
    assert VERSION in run(installed / "riskwire", "--version", cwd=tmp_path)
    newest = re.search(r"^## \[(\d\S*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == VERSION, "the changelog is closed for this version"


def test_score_reads_texts(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text(TEXTS)
    started = time.monotonic()
    scored = json.loads(run(installed / "riskwire", "score", "texts.jsonl", cwd=tmp_path))
    print(f"\nriskwire score: {time.monotonic() - started:.1f} s")
    assert scored["sentiment"]["negative"] > 0.5


@pytest.fixture
def demo(installed: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`riskwire demo` on a free port, with the file of its output."""
    output = tmp_path / "output"
    with output.open("wb") as out:
        command = [str(installed / "riskwire"), "demo", "--port", "0"]
        process = subprocess.Popen(command, cwd=tmp_path, env=_environment(), stdout=out, stderr=out)
    yield process, output
    if process.poll() is None:
        process.kill()
        process.wait(timeout=20)


def test_demo_raises_its_alert_and_ends_when_asked(demo: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, output = demo
    started, address, alerts = time.monotonic(), None, []
    while not alerts:
        text = output.read_text(errors="replace")
        assert process.poll() is None, text
        assert time.monotonic() - started < ALERT_S, text
        address = address or re.search(r"http://127\.0\.0\.1:\d+", text)
        if address:
            with urlopen(f"{address[0]}/api/v1/alerts", timeout=30) as answer:
                alerts = json.load(answer)
        time.sleep(0.5)
    print(f"\nriskwire demo: first alert after {time.monotonic() - started:.1f} s")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) in (0, 130)
    assert "Traceback" not in output.read_text(errors="replace")
