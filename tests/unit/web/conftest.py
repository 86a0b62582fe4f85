from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType

import aiohttp
import fictional
import pytest
from serving import FakeProcess, running_server, write_with_sink

from riskwire.settings import Settings, WebSettings
from riskwire.store import Store
from riskwire.web import AppServices

Serving = Callable[..., AbstractAsyncContextManager[aiohttp.ClientSession]]


@pytest.fixture(scope="session")
def news() -> ModuleType:
    """The module that builds fictional records."""
    return fictional


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data=tmp_path)) as store:
        yield store


@pytest.fixture
def process(store: Store) -> FakeProcess:
    return FakeProcess(store)


@pytest.fixture
def serving(store: Store, process: FakeProcess) -> Serving:
    """Returns a function that serves the store with given web settings, as a context with an HTTP client."""

    @asynccontextmanager
    async def start(
        *, headers: dict[str, str] | None = None, services: AppServices | None = None, **web: object
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """Serves the store until the context ends, and yields a client with the base URL of the server.

        Args:
            headers: what the client sends with every request.
            services: the rest of the process; by default the fake one of the fixture `process`.
            web: the settings of the section `web`; the port is a free one unless it is given.
        """
        settings = Settings(web=WebSettings(**({"port": 0} | web)))
        async with (
            running_server(settings, store, services or process.services()) as url,
            aiohttp.ClientSession(url, headers=headers, timeout=aiohttp.ClientTimeout(total=20)) as client,
        ):
            yield client

    return start


@pytest.fixture
async def client(serving: Serving) -> AsyncIterator[aiohttp.ClientSession]:
    async with serving() as session:
        yield session


@pytest.fixture
async def filled(store: Store) -> ModuleType:
    """Fills the store with three days of fictional news."""
    await write_with_sink(store, fictional.records_by_topic(days=3))
    return fictional
