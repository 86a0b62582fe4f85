"""A Docker engine for tests: that of DOCKER_HOST, or an engine started here, with its data in .cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from containers.tools import ROOT

FOLDER = ROOT / ".cache" / "docker"
"""Data of the engine that is started here. It is kept: what has been built need not be built again."""
READY_S = 60.0
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP_CONF = "[global]\ncert = /run/secrets/ca\n"


def missing_engine() -> str | None:
    """Returns what is missing to run containers, or None."""
    if _client() is None:
        return "no docker client with BuildKit: apt install docker.io"
    if os.environ.get("DOCKER_HOST") or _answers({}):
        return None
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        return "no Docker engine: set DOCKER_HOST, or as root `apt install docker.io`"
    return (
        None if shutil.which("debootstrap") else "no debootstrap, which makes the base image: apt install debootstrap"
    )


def _client() -> str | None:
    """Returns a docker client that can build with BuildKit: Debian's has it, others need the plugin buildx."""
    for candidate in ("/usr/bin/docker", shutil.which("docker")):
        if candidate and Path(candidate).exists():
            version = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
            buildx = subprocess.run([candidate, "buildx", "version"], capture_output=True, check=False)
            if buildx.returncode == 0 or "version 20." in version:
                return candidate
    return None


def _answers(variables: Mapping[str, str]) -> bool:
    client = _client() or "docker"
    done = subprocess.run([client, "info"], capture_output=True, check=False, env=os.environ | variables)
    return done.returncode == 0


@contextmanager
def running_engine() -> Iterator[ContainerEngine]:
    """Yields an engine; one that was started here is stopped at the end."""
    client = _client()
    assert client is not None, missing_engine()
    if os.environ.get("DOCKER_HOST") or _answers({}):
        yield ContainerEngine(client)
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    address = f"unix://{FOLDER}/sock"
    folders = ["--data-root", FOLDER / "data", "--exec-root", FOLDER / "exec", "--pidfile", FOLDER / "pid"]
    with (FOLDER / "log").open("ab") as log:
        process = subprocess.Popen(["dockerd", *folders, "-H", address], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + READY_S
        while not _answers({"DOCKER_HOST": address}):
            assert process.poll() is None, (FOLDER / "log").read_text()[-2_000:]
            assert time.monotonic() < deadline, "the engine does not answer"
            time.sleep(0.5)
        yield ContainerEngine(client, {"DOCKER_HOST": address})
    finally:
        process.terminate()
        process.wait(timeout=60)


@dataclass(frozen=True)
class ContainerEngine:
    """The command line client of an engine.

    Attributes:
        variables: environment of the client, besides that of this process.
    """

    client: str
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which a client talks to this engine."""
        return os.environ | {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"} | self.variables

    def try_run(self, *words: object, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Runs `docker WORDS…`, and returns exit code and output."""
        return subprocess.run(
            [self.client, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            timeout=timeout_s,
        )

    def run(self, *words: object, timeout_s: float = 300.0) -> str:
        """Runs `docker WORDS…`, which must succeed, and returns its output without surrounding white space."""
        done = self.try_run(*words, timeout_s=timeout_s)
        assert done.returncode == 0, f"docker {' '.join(map(str, words))}: {done.stdout[-4_000:]}{done.stderr[-4_000:]}"
        return done.stdout.strip()

    def inspect(self, name: str) -> dict[str, Any]:
        """Returns what the engine knows of a container or an image."""
        details: list[dict[str, Any]] = json.loads(self.run("inspect", name))
        return details[0]

    def has_image(self, name: str) -> bool:
        """Returns whether there is an image of this name."""
        return self.try_run("image", "inspect", name).returncode == 0

    def build(self, tag: str, file: Path, context: Path, *, target: str, **arguments: str) -> float:
        """Builds an image, with the certificates of this machine as build secrets; returns how many seconds it took."""
        started = time.monotonic()
        pip_conf = FOLDER / "pip.conf"
        pip_conf.parent.mkdir(parents=True, exist_ok=True)
        pip_conf.write_text(_PIP_CONF, encoding="utf-8")
        secrets: Sequence[str] = ()
        if _CERTIFICATES.exists():
            secrets = ("--secret", f"id=ca,src={_CERTIFICATES}", "--secret", f"id=pip,src={pip_conf}")
        options = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        self.run(
            *("build", "--network", "host", "--tag", tag, "--target", target, "--file", file),
            *(*secrets, *options, context),
            timeout_s=2_400,
        )
        return time.monotonic() - started


def import_base(engine: ContainerEngine, tag: str) -> None:
    """Makes an image of Debian with Python as a substitute for `python:3.11-slim-bookworm`, unless there is one."""
    if engine.has_image(tag):
        return
    folder = FOLDER / "base"
    if not (folder / "usr" / "bin" / "python3").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        packages = "--include=python3,ca-certificates"
        # Without a mirror, debootstrap uses its default mirror for Debian.
        mirror = os.environ.get("DEBIAN_MIRROR")
        command = ["debootstrap", "--variant=minbase", packages, "bookworm", str(folder), *([mirror] if mirror else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2_000:]
    with subprocess.Popen(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run([engine.client, "import", "-", tag], stdin=tar.stdout, check=True, env=engine.environment)
    shutil.rmtree(folder, ignore_errors=True)
