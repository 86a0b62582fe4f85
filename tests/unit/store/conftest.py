from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import fictional
import pytest
from stores import postgresql

from riskwire.settings import Settings, StoreSettings
from riskwire.store import Store

ON_POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.needs_postgresql)


@pytest.fixture(scope="session")
def news() -> ModuleType:
    """Returns the builders of fictional records."""
    return fictional


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgresql.PostgresServer]:
    """A PostgreSQL server, started once for each test process."""
    missing = postgresql.missing_postgresql()
    if missing is not None:
        pytest.skip(missing)
    with postgresql.PostgresServer.running() as server:
        yield server


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> Settings:
    """Settings whose store on SQLite does not exist yet."""
    return Settings(data=tmp_path)


@pytest.fixture
def postgresql_settings(tmp_path: Path, postgres_server: postgresql.PostgresServer) -> Settings:
    """Settings whose store on PostgreSQL is an empty database."""
    return Settings(data=tmp_path, store=StoreSettings(url=postgres_server.new_store()))


@pytest.fixture(params=["sqlite", ON_POSTGRESQL])
def new_settings(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Settings]:
    """Returns settings of another empty store with each call, once on SQLite and once on PostgreSQL.

    The arguments of a call are other settings of the section `store`.
    """
    numbers = itertools.count(1)
    server = request.getfixturevalue("postgres_server") if request.param == "postgresql" else None

    def settings(**store: int) -> Settings:
        data = tmp_path / f"data-{next(numbers)}"
        url = server.new_store() if server else f"sqlite:///{data}/store.sqlite"
        return Settings(data=data, store=StoreSettings.model_validate({"url": url, **store}))

    return settings


@pytest.fixture
def settings(new_settings: Callable[..., Settings]) -> Settings:
    """Settings of an empty store, once on SQLite and once on PostgreSQL."""
    return new_settings()


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store.open(settings) as store:
        yield store
