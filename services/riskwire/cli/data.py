"""Opens the store and the bus of a data directory that exists, for commands that only look or make small changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from riskwire.bus import Bus
from riskwire.bus.embedded.bus import FILE
from riskwire.bus.open import open_bus
from riskwire.errors import SettingsError
from riskwire.settings import Settings
from riskwire.store import Store


def open_existing_store(settings: Settings) -> Store:
    """Opens the store of the settings, read-only, for a command such as `riskwire targets`.

    Raises:
        SettingsError: the data directory has no data of riskwire.
        StoreError: the store cannot be opened.
    """
    if settings.store.url is None and settings.bus.url == "embedded":
        _require_data(settings.data)
    return Store.open(settings, read_only=True)


@asynccontextmanager
async def open_existing_bus(settings: Settings) -> AsyncIterator[Bus]:
    """Yields the bus of the settings for a command that needs existing data; closes it at the end.

    The embedded bus would create its file, so the file must exist. On Kafka, opening checks the topics.

    Raises:
        SettingsError: the bus is embedded, and the data directory has no data of riskwire.
        BusError: the bus cannot be opened.
    """
    if settings.bus.url == "embedded":
        _require_data(settings.data)
    bus = await open_bus(settings)
    try:
        yield bus
    finally:
        await bus.close()


def _require_data(directory: Path) -> None:
    """Raises a `SettingsError` if the directory has no bus file. Opening the bus would create one."""
    if not (directory / FILE).exists():
        raise SettingsError(
            "there is no data of riskwire in this directory",
            where=str(directory),
            do="`riskwire run` or `riskwire replay` creates some",
        )
