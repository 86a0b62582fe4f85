"""Makes the suite of the bus (`tests/unit/bus/contract.py`) importable, which also runs on a real broker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.register_assert_rewrite("contract", "backpressure_contract")
sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "bus"))
