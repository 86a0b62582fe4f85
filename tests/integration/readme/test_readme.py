"""Every command in the README does what it says."""

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
from cli import RISKWIRE, environment, riskwire
from typer.testing import CliRunner

from riskwire.cli.main import app
from riskwire.demo import corpus_path

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


ON_KAFKA = "export RISKWIRE_BUS__URL=kafka"
"""The block that begins so is run by test_readme_kafka.py."""
COMMANDS = [line for block in blocks("sh") if ON_KAFKA not in block for line in block.splitlines() if line]
SERVING = {line for line in COMMANDS if line.startswith(("make run", "make demo", "riskwire run"))}
MADE_ELSEWHERE = {"make test", ". .venv/bin/activate"}
"""This very run, and what the tests' environment is."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the README's files in it, and a data directory that has seen some news."""
    folder = tmp_path_factory.mktemp("readme")
    yaml = blocks("yaml")
    (folder / "feeds.yaml").write_text(next(block for block in yaml if "fed-press" in block))
    (folder / "watchlist.yaml").write_text(next(block for block in yaml if "isin" in block))
    (folder / "riskwire.yaml").write_text(next(block for block in yaml if "webhooks" in block))
    (folder / "webhook.key").write_text("a key\n")
    past = corpus_path().read_text().replace('"published_at": "2031-', '"published_at": "2021-')
    (folder / "archive.jsonl").write_text("\n".join(past.splitlines()[:40]) + "\n")
    texts = [{"id": 1, "text": "Norvane Motors recalls cars."}, {"id": "b", "text": "Profit rises."}]
    (folder / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    done = riskwire("replay", "archive.jsonl", "--data", "riskwire-data", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def _environment() -> dict[str, str]:
    return environment(PATH=f"{RISKWIRE.parent}{os.pathsep}{os.environ['PATH']}", RISKWIRE_WEB__PORT="0")


def test_the_readme_has_commands_and_all_of_them_are_told_apart() -> None:
    assert {"make run", "make test", "make demo"} <= set(COMMANDS)
    assert set(COMMANDS) >= SERVING | MADE_ELSEWHERE


@pytest.mark.parametrize("command", [line for line in COMMANDS if line not in SERVING | MADE_ELSEWHERE])
def test_a_command_that_ends_ends_well(folder: Path, command: str) -> None:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).strip() or command.startswith("riskwire alerts --json"), "it says something"


@pytest.fixture
def serving(folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A serving command, started on a free port, stopped at the end."""
    command: str = request.param
    make = command.startswith("make")
    words = command.split()
    if make:
        options = ["--port", "0"] + (["--data", str(tmp_path / "data")] if "run" in command else [])
        words += [f"ARGS={' '.join(options)}", f"PYTHON={sys.executable}"]
    else:
        words[words.index("--port") + 1] = "0"
    process = subprocess.Popen(
        words,
        cwd=ROOT if make else folder,
        env=_environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # SIGINT is ignored where this suite was started in the background
        process.communicate(timeout=120)


@pytest.mark.parametrize("serving", sorted(SERVING), indirect=True)
def test_a_command_that_serves_serves_the_page(serving: subprocess.Popen[str]) -> None:
    assert serving.stderr is not None
    address = next(found for line in serving.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
    with urllib.request.urlopen(address[0] + "/", timeout=120) as page:
        assert b"riskwire" in page.read()
    with urllib.request.urlopen(address[0] + "/api/v1/status", timeout=120) as status:
        assert json.load(status)["bundle"].startswith("finance-en@")


def test_make_test_runs_this_suite() -> None:
    make = shutil.which("make")
    assert make is not None
    told = subprocess.run(
        [make, "--dry-run", "--silent", "test"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert {"pytest", "tests/unit", "tests/integration", "tests/chaos"} <= set(told.stdout.split())


def test_links_and_pictures_are_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_help_teaches_and_names_every_command() -> None:
    told = riskwire("--help").stdout
    for command in (
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
    ):
        assert re.search(rf"\b{command}\b", told), command
        if command != "model":
            assert len(CliRunner().invoke(app, [command, "--help"]).stdout.splitlines()) > 5
