"""The image, built from this tree: its contents, and riskwire in it with a read-only root and no capabilities."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from containers.engine import ContainerEngine

HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:size=256m")
TEXTS = '{"id": "a", "text": "Acme Corp files for bankruptcy after fraud."}\n'
TOKEN = "a token of more than sixteen characters"
READY_S = 180.0


@pytest.fixture
def containers(engine: ContainerEngine) -> Iterator[list[str]]:
    """The names of the containers of a test, which removes them with their volumes; prints their logs if it fails."""
    names: list[str] = []
    yield names
    for name in names:
        done = engine.try_run("logs", "--tail", 40, name)
        print(f"== {name}\n{done.stdout}{done.stderr}")
        engine.try_run("rm", "--force", "--volumes", name)


def wait_for_health(engine: ContainerEngine, name: str, status: str = "healthy") -> float:
    """Waits until the health check of a container has this result; returns how many seconds that took."""
    started = time.monotonic()
    while engine.inspect(name)["State"]["Health"]["Status"] != status:
        state = engine.inspect(name)["State"]
        assert state["Running"], f"{name} exited with {state['ExitCode']}: {engine.try_run('logs', name).stderr}"
        assert time.monotonic() - started < READY_S, f"{name} is not {status}"
        time.sleep(0.5)
    return time.monotonic() - started


def in_container(engine: ContainerEngine, name: str, path: str) -> dict[str, object]:
    """Returns what a container answers on its port of probes."""
    code = f"from urllib.request import urlopen; print(urlopen('http://127.0.0.1:9464{path}').read().decode())"
    answer: dict[str, object] = json.loads(engine.run("exec", name, "python", "-c", code))
    return answer


def test_the_image_runs_as_a_user_without_rights_and_says_what_it_is(engine: ContainerEngine, image: str) -> None:
    details = engine.inspect(image)
    config = details["Config"]
    print(f"{image}: {details['Size'] / 1e6:.0f} MB")
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["riskwire"]
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["Volumes"] == {"/var/lib/riskwire": {}}
    assert config["StopSignal"] == "SIGTERM"
    assert config["Labels"].keys() >= {
        f"org.opencontainers.image.{label}" for label in ("title", "version", "revision", "licenses", "created")
    }


def test_no_tool_that_builds_or_installs_is_left_in_the_image(engine: ContainerEngine, image: str) -> None:
    programs = ["gcc", "cc", "make", "pip", "pip3", "uv", "git", "curl", "wget"]
    code = f"import shutil; print([name for name in {programs} if shutil.which(name)])"
    assert engine.run("run", "--rm", "--entrypoint", "python", image, "-c", code) == "[]"
    missing = engine.try_run("run", "--rm", "--entrypoint", "python", image, "-m", "pip", "--version")
    assert missing.returncode != 0
    names = "import importlib.metadata as m; print(sorted(d.name.lower() for d in m.distributions()))"
    packages = engine.run("run", "--rm", "--entrypoint", "python", image, "-c", names)
    assert not {"pytest", "hatchling", "setuptools", "torch"} & set(re.findall(r"'([^']+)'", packages))
    assert "'aiokafka'" in packages
    assert "'psycopg'" in packages


def test_only_the_data_directory_and_nothing_else_belongs_to_the_user(engine: ContainerEngine, image: str) -> None:
    paths = ["/opt/riskwire", "/etc/riskwire", "/usr", "/var/lib/riskwire"]
    code = f"import os; print([path for path in {paths} if os.access(path, os.W_OK)])"
    assert engine.run("run", "--rm", "--entrypoint", "python", image, "-c", code) == "['/var/lib/riskwire']"


def test_score_reads_texts_from_standard_input_without_network(engine: ContainerEngine, image: str) -> None:
    command = [engine.client, "run", "--rm", "--interactive", "--network", "none", *HARDENED, image, "score"]
    started = time.monotonic()
    done = subprocess.run(
        command, input=TEXTS, capture_output=True, text=True, check=False, env=engine.environment, timeout=300
    )
    print(f"riskwire score in a container: {time.monotonic() - started:.1f} s")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sentiment"]["negative"] > 0.5


def test_run_keeps_its_data_on_a_volume_and_stops_when_asked(
    engine: ContainerEngine, image: str, containers: list[str], scratch: Path
) -> None:
    """A second container on the same volume has what the first one wrote."""
    feeds = scratch / "feeds.yaml"
    feeds.write_text("- {id: unreachable, url: https://news.example/rss.xml}\n")
    volume = engine.run("volume", "create")
    mounts = ("--volume", f"{volume}:/var/lib/riskwire", "--volume", f"{feeds}:/etc/riskwire/feeds.yaml:ro")
    code = "import os; s = os.stat('/var/lib/riskwire/store.sqlite'); print(s.st_ino)"
    inodes = []
    for name in ("riskwire-test-run-1", "riskwire-test-run-2"):
        containers.append(name)
        engine.run("run", "--detach", "--name", name, *HARDENED, *mounts, image, "run", "--feeds", "feeds.yaml")
        print(f"{name}: healthy after {wait_for_health(engine, name):.1f} s")
        assert in_container(engine, name, "/readyz")["ready"] is True
        inodes.append(engine.run("exec", name, "python", "-c", code))
        engine.run("stop", "--time", 60, name)
        assert engine.inspect(name)["State"]["ExitCode"] == 0
    assert inodes[0] == inodes[1]
    engine.try_run("rm", *containers)
    engine.run("volume", "rm", volume)


def test_a_data_directory_that_cannot_be_written_is_named(engine: ContainerEngine, image: str) -> None:
    """The table of failures in deploy/README.md."""
    done = engine.try_run("run", "--rm", *HARDENED, "--tmpfs", "/var/lib/riskwire:ro", image, "run")
    assert done.returncode == 2, done.stderr
    assert "/var/lib/riskwire" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_volume_ends_the_process_with_a_message(
    engine: ContainerEngine, image: str, containers: list[str]
) -> None:
    """The table of failures in deploy/README.md: the embedded bus is on the volume, so nothing can go on."""
    full = ("--tmpfs", "/var/lib/riskwire:size=64k,mode=0700,uid=10001")
    done = engine.try_run("run", "--rm", *HARDENED, *full, image, "run")
    assert done.returncode not in (0, 137), done.stderr
    assert re.search(r"full|space", done.stderr), done.stderr


def test_a_container_killed_for_memory_says_so_and_is_started_again(
    engine: ContainerEngine, image: str, containers: list[str]
) -> None:
    """The table of failures in deploy/README.md: the engine knows why, and its restart rule starts it again."""
    name = "riskwire-test-memory"
    containers.append(name)
    limit = ("--memory", "64m", "--memory-swap", "64m", "--restart", "on-failure:2")
    engine.run("run", "--detach", "--name", name, *HARDENED, *limit, image, "run")
    started = time.monotonic()
    while engine.inspect(name)["RestartCount"] < 2 or engine.inspect(name)["State"]["Running"]:
        assert time.monotonic() - started < READY_S, engine.inspect(name)["State"]
        time.sleep(0.5)
    state = engine.inspect(name)["State"]
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)


def test_an_image_for_another_processor_is_refused_by_the_engine(engine: ContainerEngine, image: str) -> None:
    """The table of failures in deploy/README.md."""
    machine = engine.inspect(image)["Architecture"]
    other_machine = "arm64" if machine == "amd64" else "amd64"
    done = engine.try_run("run", "--rm", "--pull", "never", "--platform", f"linux/{other_machine}", image, "--version")
    assert done.returncode == 125, done.stdout
    assert "platform" in done.stderr
