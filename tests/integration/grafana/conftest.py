"""The data sources of the dashboards, filled by a replay with a crisis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from crisis_replay import replayed_crisis
from prometheus_server import missing_prometheus
from stores.postgresql import missing_postgresql

from riskwire_dashboards.answers import DataSources


@pytest.fixture(scope="session")
def data_sources(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[DataSources]:
    """The data sources after the replay."""
    missing = missing_postgresql() or missing_prometheus()
    if missing is not None:
        pytest.skip(missing)
    with replayed_crisis(tmp_path_factory.mktemp("grafana"), tiny_bundle) as sources:
        yield sources
