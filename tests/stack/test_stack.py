"""A crisis passes every hop: article, analysis, trend row, metric, rule, alert, receivers, decisions, resolution."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from one_machine.hops import hops
from one_machine.news import write_archives
from one_machine.servers import missing_programs, running_stack

pytestmark = [
    pytest.mark.needs_kafka,
    pytest.mark.needs_postgresql,
    pytest.mark.needs_prometheus,
    pytest.mark.slow,
    pytest.mark.timeout(3_000),
]


def test_a_crisis_passes_every_hop(tmp_path: Path) -> None:
    """The news is replayed by the command; each service runs in a separate process, and stops with exit code 0."""
    missing = missing_programs()
    if missing is not None:
        pytest.skip(missing)
    with running_stack(tmp_path, print) as stack:
        for hop in hops(stack, write_archives(tmp_path, datetime.now(UTC))):
            hop.wait()
            print(f"reached: {hop.name}")
