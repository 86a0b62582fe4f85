"""A backup that is made while news flows, with the store on SQLite and on PostgreSQL: restored, all agree again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli import environment, read_downstream, riskwire, start_riskwire
from services_on_kafka import wait_until
from stores.answers import api_answers
from stores.postgresql import PostgresServer, missing_postgresql

from riskwire.demo import corpus_path, watchlist_path
from riskwire.errors import StoreError
from riskwire.settings import Settings, StoreSettings
from riskwire.store import Store

pytestmark = pytest.mark.slow

REPLAY = ["replay", corpus_path(), "--watchlist", watchlist_path()]
SPEED = 40_000
"""Archive seconds per real second: seven weeks take two minutes. The replay is killed once the backup is made."""
ENOUGH = 60
"""Articles in the store when the backup is made, of some 370."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the data directory of a finished replay, with its store on SQLite."""
    data = tmp_path_factory.mktemp("undisturbed")
    completed = riskwire(*REPLAY, "--data", data)
    assert completed.returncode == 0, completed.stderr
    return data


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs_postgresql)])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Settings]]:
    """Settings of two data directories, each with an empty store."""
    folders = [tmp_path / "replayed", tmp_path / "restored"]
    if request.param == "sqlite":
        yield [Settings(data=folder) for folder in folders]
        return
    missing = missing_postgresql()
    if missing is not None:
        pytest.skip(missing)
    with PostgresServer.running() as server:
        yield [Settings(data=folder, store=StoreSettings(url=server.new_database())) for folder in folders]


def environment_of(settings: Settings) -> dict[str, str]:
    """Returns the environment of a process that uses these stores."""
    url = {} if settings.store.url is None else {"RISKWIRE_STORE__URL": settings.store.url}
    return environment(RISKWIRE_DATA=str(settings.data), **url)


def stored_articles(settings: Settings) -> int:
    """Returns the number of articles in a store, 0 if there is none yet."""
    try:
        with Store.open(settings, read_only=True) as store:
            return store.counts().articles
    except StoreError:
        return 0


def answers(settings: Settings) -> dict[str, str]:
    """Returns what the API answers about a store."""
    with Store.open(settings, read_only=True) as store:
        return asyncio.run(api_answers(store))


def test_a_replay_goes_on_from_a_backup_that_was_made_while_it_ran(
    undisturbed: Path, stores: list[Settings], tmp_path: Path
) -> None:
    """Bus and store are copied one after the other, while the replay writes both.

    Both are restored elsewhere, and the replay is run there to its end. Then the records of the bus and the answers of
    the API are those of a replay that nothing disturbed.
    """
    replayed, restored = stores
    backup = tmp_path / "backup"
    replaying = start_riskwire(*REPLAY, "--speed", SPEED, env=environment_of(replayed))
    try:
        wait_until(lambda: stored_articles(replayed) >= ENOUGH)
        backup_run = riskwire("backup", backup, env=environment_of(replayed))
        assert backup_run.returncode == 0, backup_run.stderr
        assert replaying.poll() is None, "the replay ended before the backup"
    finally:
        replaying.kill()
        replaying.communicate()
    done = riskwire("restore", backup, env=environment_of(restored))
    assert done.returncode == 0, done.stderr
    begun = stored_articles(restored)
    completed = riskwire(*REPLAY, env=environment_of(restored))
    assert completed.returncode == 0, completed.stderr

    records = read_downstream(restored.data)
    assert records.repeated() == []
    assert records == read_downstream(undisturbed)
    assert ENOUGH <= begun < stored_articles(restored)
    expected, got = answers(Settings(data=undisturbed)), answers(restored)
    assert [path for path in expected | got if expected.get(path) != got.get(path)] == []
