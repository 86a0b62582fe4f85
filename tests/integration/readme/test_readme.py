"""The README's commands, run as they are written there, in a fresh copy of the repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from riskwire.cli.main import app
from riskwire.demo import corpus_path
from riskwire.pipeline import drawing

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAPERS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "deploy/README.md",
    "deploy/METRICS.md",
    "deploy/RUNBOOK.md",
    "models/README.md",
    "services/README.md",
)


def blocks(language: str) -> list[str]:
    """Returns the code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line]
ACTIVATE = ". .venv/bin/activate"
MAKE_TEST = "make test"
SERVING = [line for line in COMMANDS if line.startswith(("make run", "make demo", "riskwire run"))]
ENDING = [line for line in COMMANDS if line not in {*SERVING, ACTIVATE, MAKE_TEST}]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a copy of the repository without anything that is ignored, where `make venv` has run once."""
    checkout = tmp_path_factory.mktemp("readme") / "riskwire"
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    make = ["make", "venv", f"PYTHON={sys.executable}"]
    environment = subprocess.run(
        make, cwd=checkout, env=_environment(), capture_output=True, text=True, check=False, timeout=500
    )
    assert environment.returncode == 0, environment.stderr
    return checkout


@pytest.fixture(scope="module")
def folder(checkout: Path) -> Path:
    """Returns the checkout with the files that the README describes, and a data directory that holds some news."""
    yaml = blocks("yaml")
    (checkout / "feeds.yaml").write_text(next(block for block in yaml if "fed-press" in block))
    (checkout / "watchlist.yaml").write_text(next(block for block in yaml if "isin" in block))
    (checkout / "riskwire.yaml").write_text(next(block for block in yaml if "receivers" in block))
    (checkout / "webhook.key").write_text("a key\n")
    past = corpus_path().read_text().replace('"published_at": "2031-', '"published_at": "2021-')
    (checkout / "archive.jsonl").write_text("\n".join(past.splitlines()[:40]) + "\n")
    texts = [{"id": 1, "text": "Norvane Motors recalls cars."}, {"id": "b", "text": "Profit rises."}]
    (checkout / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    replay = _shell("riskwire replay archive.jsonl --data riskwire-data", checkout)
    assert replay.returncode == 0, replay.stderr
    return checkout


def _environment() -> dict[str, str]:
    """Returns this process's environment without its virtual environment, as a new shell has it."""
    python_folder = str(Path(sys.executable).parent)
    path = os.pathsep.join(entry for entry in os.environ["PATH"].split(os.pathsep) if entry != python_folder)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("RISKWIRE_", "VIRTUAL_ENV"))}
    return variables | {"PATH": path, "RISKWIRE_WEB__PORT": "0"}


def _shell(command: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command in a new shell in the checkout, after the README's activation line. Any exit code is returned."""
    return subprocess.run(
        ["bash", "-c", f"set -e\n{ACTIVATE}\n{command}"],
        cwd=checkout,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_readme_names_the_two_commands_and_the_activation() -> None:
    assert {"make run", MAKE_TEST, ACTIVATE} <= set(COMMANDS)
    assert len(SERVING) == 3
    assert len(README.splitlines()) <= 155, "the README is a page; details belong into the pages it links"


def test_the_drawing_is_that_of_the_pipeline() -> None:
    assert f"```\n{drawing()}\n```" in README


@pytest.mark.slow
@pytest.mark.parametrize("command", ENDING)
def test_a_command_succeeds_in_an_environment_made_from_nothing(folder: Path, command: str) -> None:
    """The commands are those of the README that end by themselves. Only `riskwire alerts --json` may print nothing."""
    completed = _shell(command, folder)
    assert completed.returncode == 0, completed.stderr
    assert (completed.stdout + completed.stderr).strip() or command.startswith("riskwire alerts --json")


@pytest.mark.slow
def test_make_test_runs_tests_in_an_environment_made_from_nothing(checkout: Path) -> None:
    completed = _shell(f'{MAKE_TEST} ARGS="-k keyed_state"', checkout)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert re.search(r"\d+ passed", completed.stdout)


@pytest.fixture
def serving(folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Yields a command of the README that serves, changed to a free port; stops it and its children at the end.

    The test gives the command as the parameter of this fixture.
    """
    command: str = request.param
    if command.startswith("make"):
        data = f" --data {tmp_path / 'data'}" if "run" in command else ""
        command += f' ARGS="--port 0{data}" PYTHON={sys.executable}'
    else:
        command = re.sub(r"--port \d+", "--port 0", command)
    process = subprocess.Popen(
        ["bash", "-c", f"{ACTIVATE}\n{command}"],
        cwd=folder,
        env=_environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # a suite started in the background ignores SIGINT
        process.communicate(timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("serving", SERVING, indirect=True)
def test_a_serving_command_serves_the_page(serving: subprocess.Popen[str]) -> None:
    """The command prints its address. The page and the status are read there."""
    assert serving.stderr is not None
    address = next(match for line in serving.stderr if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
    with urllib.request.urlopen(address[0] + "/", timeout=120) as page:
        assert b"riskwire" in page.read()
    with urllib.request.urlopen(address[0] + "/api/v1/status", timeout=120) as status:
        assert json.load(status)["bundle"].startswith("finance-en@")


@pytest.mark.parametrize("paper", PAPERS)
def test_links_and_pictures_of_a_paper_exist(paper: str) -> None:
    """Links to web addresses and to headings are not checked."""
    path = ROOT / paper
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "demo",
        "replay",
        "score",
        "alerts",
        "targets",
        "stories",
        "status",
        "feeds",
        "watchlist",
        "dead-letters",
        "topics",
        "config",
        "model",
    ],
)
def test_help_lists_each_command_and_each_has_help(command: str) -> None:
    listing = CliRunner().invoke(app, ["--help"]).stdout
    assert command == "model" or re.search(rf"\b{command}\b", listing)
    if command != "model":  # its commands are mounted by `main`, and have tests of their own
        assert len(CliRunner().invoke(app, [command, "--help"]).stdout.splitlines()) > 5
