"""Opens the bus that the settings name."""

from __future__ import annotations

from importlib.util import find_spec

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.bus.protocol import Bus
from riskwire.errors import SettingsError
from riskwire.settings import Settings


async def open_bus(settings: Settings) -> Bus:
    """Opens the bus that `bus.url` names. The caller closes it.

    Raises:
        SettingsError: `bus.url` names no known bus, or the client library of the bus is not installed.
        BusError: the bus cannot be opened.
    """
    check_bus(settings)
    if settings.bus.url == "embedded":
        return await EmbeddedBus.open(settings.data, settings.bus)
    return await _open_kafka(settings)


def check_bus(settings: Settings) -> None:
    """Checks `bus.url` without opening the bus.

    Raises:
        SettingsError: `bus.url` names no known bus, or the client library of the bus is not installed.
    """
    url = settings.bus.url
    if url.startswith("kafka://"):
        require_kafka()
    elif url != "embedded":
        raise SettingsError("bus.url: allowed are `embedded` and `kafka://host:port[,host:port]`", value=url)


async def _open_kafka(settings: Settings) -> Bus:
    from riskwire.bus.kafka.bus import KafkaBus  # noqa: PLC0415  (aiokafka is an extra)

    return await KafkaBus.open(settings.bus, settings.kafka)


def require_kafka() -> None:
    """Checks that the `kafka` extra is installed.

    Raises:
        SettingsError: it is not.
    """
    if find_spec("aiokafka") is None:
        raise SettingsError(
            "bus.url names Kafka, but its Python client is not installed",
            do='Install it: pip install "riskwire[kafka]"',
        )
