"""The command line tools that check deploy/: in .venv-deploy (`make deploy-tools`), or on the path."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
_VENV = ROOT / ".venv-deploy" / "bin"


def require_tool(name: str) -> str:
    """Returns the path of a tool; skips the test where it is missing."""
    tool = shutil.which(name, path=str(_VENV)) or shutil.which(name)
    if tool is None:
        pytest.skip(f"no {name}: `make deploy-tools`, or your distribution's package")
    return tool


def output_of(*command: object, env: dict[str, str] | None = None) -> str:
    """Returns the standard output of a command, which must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
