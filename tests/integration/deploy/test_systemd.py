"""The systemd unit: valid, hardened, and riskwire runs under what can be tried of it without systemd."""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli import RISKWIRE, environment
from containers.tools import DEPLOY, output_of, require_tool

from riskwire.pipeline import SERVICES
from riskwire.settings import load_settings

UNITS = DEPLOY / "systemd"
UNIT = UNITS / "riskwire@.service"
_PR_SET_MDWE, _REFUSE_EXEC_GAIN = 65, 1


def test_the_unit_is_valid_for_every_service(tmp_path: Path) -> None:
    """systemd-analyze finds nothing wrong; the program is one that exists here."""
    analyze = require_tool("systemd-analyze")
    text = UNIT.read_text(encoding="utf-8").replace("/opt/riskwire/bin/riskwire", sys.executable)
    for name in ("run", *SERVICES):
        (tmp_path / f"riskwire@{name}.service").write_text(text, encoding="utf-8")
        done = subprocess.run(
            [analyze, "verify", str(tmp_path / f"riskwire@{name}.service")], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), name


def test_a_directive_that_systemd_does_not_know_is_reported(tmp_path: Path) -> None:
    """The check that the other test trusts can fail."""
    analyze = require_tool("systemd-analyze")
    wrong = tmp_path / "riskwire@run.service"
    text = UNIT.read_text(encoding="utf-8").replace("/opt/riskwire/bin/riskwire", sys.executable)
    wrong.write_text(text.replace("ProtectHome=", "ProtectHouse="), encoding="utf-8")
    done = subprocess.run([analyze, "verify", str(wrong)], capture_output=True, text=True, check=False)
    assert "ProtectHouse" in done.stderr


def test_systemd_rates_the_exposure_of_the_unit_as_low() -> None:
    report = output_of(require_tool("systemd-analyze"), "security", "--offline=true", UNIT)
    exposure = re.search(r"exposure level .*: (\d+\.\d)", report)
    assert exposure is not None
    assert float(exposure[1]) <= 1.5


def test_the_user_of_the_unit_can_be_created() -> None:
    lines = [line for line in (UNITS / "riskwire.sysusers.conf").read_text().splitlines() if line[:1] not in ("#", "")]
    assert [line.split()[:2] for line in lines] == [["u", "riskwire"]]
    output_of(require_tool("systemd-sysusers"), "--dry-run", UNITS / "riskwire.sysusers.conf")


def test_each_instance_has_ports_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = {}
    for name in ("run", *SERVICES):
        text = (UNITS / "etc" / f"{name}.environment").read_text(encoding="utf-8")
        for key, value in re.findall(r"^(\w+)=(.*)$", text, re.M):
            monkeypatch.setenv(key, value)
        web = load_settings().web
        ports[name] = web.probe_port
        assert web.port == (8080 if name in ("run", "serve") else 0)
    assert len(set(ports.values())) == len(ports)


def test_the_model_runs_where_no_memory_may_become_executable(tmp_path: Path) -> None:
    """`MemoryDenyWriteExecute`: the kernel refuses the same to a process that asked for it with prctl."""
    if ctypes.CDLL(None, use_errno=True).prctl(66, 0, 0, 0, 0) < 0:
        pytest.skip("this kernel cannot deny it (Linux 6.3 can)")
    (tmp_path / "texts.jsonl").write_text('{"id": "a", "text": "Acme Corp files for bankruptcy after fraud."}\n')

    def deny() -> None:
        assert ctypes.CDLL(None).prctl(_PR_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0) == 0

    attempt = "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)"
    refused = subprocess.run([sys.executable, "-c", attempt], preexec_fn=deny, capture_output=True, check=False)
    assert b"PermissionError" in refused.stderr
    done = subprocess.run(
        [RISKWIRE, "score", tmp_path / "texts.jsonl"],
        preexec_fn=deny,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sentiment"]["negative"] > 0.5


def test_the_directories_that_the_unit_may_write_are_those_that_riskwire_writes() -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert "ProtectSystem=strict" in text
    assert "StateDirectory=riskwire\n" in text
    assert "RISKWIRE_DATA=/var/lib/riskwire" in text
