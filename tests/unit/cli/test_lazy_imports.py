"""The command line imports a room when a command needs it, so that `riskwire --help` is quick."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {
    "aiohttp",
    "fastapi",
    "onnxruntime",
    "prometheus_client",
    "riskwire.app",
    "riskwire.bus",
    "riskwire.records",
    "riskwire.store",
    "sqlalchemy",
    "sqlite3",
}


def test_the_command_line_imports_no_heavy_module() -> None:
    """A fresh Python imports the command line and prints every module that it has loaded."""
    program = "import sys, riskwire.cli.main; print(*sys.modules, sep='\\n')"
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert not HEAVY & set(completed.stdout.splitlines())
