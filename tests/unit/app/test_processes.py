"""Processes: each opens the stages it is asked for, and only what those stages need."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fictional import signal

from riskwire.app.processes import open_process
from riskwire.errors import BusError, InUseError, RiskwireError, StoreError, StoreVersionError, leaves
from riskwire.pipeline import SERVICES, STAGES, stages_of
from riskwire.settings import Settings
from riskwire.store import Store
from riskwire.web import bind


@pytest.fixture
def settings(tmp_path: Path, tiny_bundle: Path) -> Settings:
    """Settings with the tiny model, and a data directory that does not exist yet."""
    return Settings.model_validate({"data": tmp_path / "data", "inference": {"bundle": tiny_bundle, "threads": 1}})


@pytest.mark.parametrize("service", SERVICES)
async def test_a_process_has_the_stages_of_its_service(settings: Settings, service: str) -> None:
    """Each service opens its stages in order. Its readiness reports the bus, then the consumer group of each stage."""
    specs = stages_of(service)
    async with open_process(settings, specs, page=False, live=False) as process:
        assert tuple(stage.spec for stage in process.stages) == specs
        assert process.groups == [spec.name for spec in specs]
        assert [stage.name for stage in process.health.readiness().stages] == ["bus", *process.groups]


async def test_a_process_can_have_every_stage_and_the_page(settings: Settings) -> None:
    async with open_process(settings, STAGES, page=True, live=False) as process:
        assert tuple(stage.spec for stage in process.stages) == STAGES


@pytest.mark.parametrize(("service", "opens_store"), [("alert", False), ("notify", False), ("sink", True)])
async def test_the_store_is_opened_only_for_stages_that_need_it(
    settings: Settings, service: str, opens_store: bool
) -> None:
    async with open_process(settings, stages_of(service), page=False, live=False):
        assert (settings.data / "store.sqlite").exists() == opens_store


async def test_stages_without_a_model_ignore_a_missing_bundle_and_watchlist(settings: Settings, tmp_path: Path) -> None:
    """The alert service opens although the model bundle and the watchlist of the settings do not exist."""
    inference = settings.inference.model_copy(update={"bundle": tmp_path / "missing"})
    settings = settings.model_copy(update={"watchlist": tmp_path / "missing.yaml", "inference": inference})
    async with open_process(settings, stages_of("alert"), page=False, live=False):
        pass


@pytest.mark.parametrize(
    "changes", [{"watchlist": "missing.yaml"}, {"inference": {"bundle": "missing"}}], ids=["watchlist", "bundle"]
)
async def test_a_refused_input_leaves_no_data_directory(
    tmp_path: Path, tiny_bundle: Path, changes: dict[str, object]
) -> None:
    """A watchlist or bundle that does not exist is an error, and nothing is written before."""
    base = {"data": tmp_path / "data", "inference": {"bundle": tiny_bundle}}
    settings = Settings.model_validate(base | changes)
    with pytest.raises(RiskwireError, match="missing"):
        async with open_process(settings, STAGES, page=True, live=True):
            pass
    assert not settings.data.exists()


async def test_a_store_of_0_1_is_refused_before_a_bus_is_created(settings: Settings) -> None:
    """Version 3 of the schema is the one of riskwire 0.1. The file of the store stays as it is."""
    Store.open(settings).close()
    file = settings.data / "store.sqlite"
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("UPDATE riskwire_schema SET version_num = 3")
    before = file.read_bytes()
    with pytest.raises(StoreVersionError, match=r"riskwire 0\.1.*another directory with --data"):
        async with open_process(settings, STAGES, page=True, live=True):
            pass
    assert list(settings.data.iterdir()) == [file]
    assert file.read_bytes() == before


async def test_a_data_directory_belongs_to_one_process(settings: Settings) -> None:
    async with open_process(settings, stages_of("alert"), page=False, live=False):
        with pytest.raises(InUseError):
            async with open_process(settings, stages_of("alert"), page=False, live=False):
                pass


@pytest.mark.parametrize("name", ["bus.sqlite", "bus.sqlite-wal", "store.sqlite"])
async def test_a_database_file_that_vanishes_makes_the_process_unready_and_ends_it(
    settings: Settings, name: str
) -> None:
    """What SQLite writes into a deleted file is lost when the process ends, so it ends before it has written more."""
    settings = settings.model_copy(update={"web": settings.web.model_copy(update={"port": 0})})
    async with open_process(settings, stages_of("sink"), page=False, live=False) as process:
        assert process.readiness().ready
        (settings.data / name).unlink()
        assert any(f"{name} was deleted" in problem for problem in process.readiness().problems)
        with bind(settings.web) as listener, pytest.raises(ExceptionGroup) as failure:
            async with asyncio.timeout(20):
                await process.run(listener, lambda url: None)
    assert any(isinstance(error, BusError) and name in str(error) for error in leaves(failure.value))


async def test_live_news_does_not_follow_news_of_the_future(settings: Settings) -> None:
    """A process that ingests refuses a store whose newest signal is 30 days ahead of the wall clock."""
    future = datetime.now(UTC) + timedelta(days=30)
    with Store.open(settings) as store:
        store.write_signals([signal("a").model_copy(update={"seen_at": future})])
        assert store.newest() is not None
    with pytest.raises(StoreError, match="news of the future"):
        async with open_process(settings, STAGES, page=True, live=True):
            pass
