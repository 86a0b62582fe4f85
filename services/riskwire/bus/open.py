"""Which bus the settings ask for."""

from __future__ import annotations

from riskwire.bus.embedded import EmbeddedBus
from riskwire.bus.protocol import Bus
from riskwire.errors import SettingsError
from riskwire.settings import Settings


async def open_bus(settings: Settings) -> Bus:
    """Open the bus that `bus.url` names; close it with its `close`.

    Raises:
        SettingsError: no such bus.
        BusError: it cannot be opened.
    """
    url = settings.bus.url
    if url == "embedded":
        return await EmbeddedBus.open(settings.data, settings.bus)
    if url.startswith("kafka://"):
        raise SettingsError(
            "bus.url: this riskwire has no Kafka bus yet",
            value=url,
            do="Use `embedded`, or a riskwire that has the Kafka bus",
        )
    raise SettingsError("bus.url: allowed are `embedded` and `kafka://host:port[,host:port]`", value=url)
