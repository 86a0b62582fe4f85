"""A timeline that tests of event alerts start from."""

from __future__ import annotations

import pytest
from timeline import Timeline


@pytest.fixture
def day() -> Timeline:
    """A timeline after one day of other news."""
    timeline = Timeline()
    timeline.quiet(0, 24)
    return timeline
