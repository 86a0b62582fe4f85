"""Which bus the settings ask for."""

from __future__ import annotations

from importlib.util import find_spec

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.bus.protocol import Bus
from riskwire.errors import SettingsError
from riskwire.settings import Settings


async def open_bus(settings: Settings) -> Bus:
    """Open the bus that `bus.url` names; close it with its `close`.

    Raises:
        SettingsError: no such bus.
        BusError: it cannot be opened.
    """
    check_bus(settings)
    if settings.bus.url == "embedded":
        return await EmbeddedBus.open(settings.data, settings.bus)
    return await _open_kafka(settings)


def check_bus(settings: Settings) -> None:
    """Make sure that there is such a bus, without opening it.

    Raises:
        SettingsError: there is not, or what speaks to it is not installed.
    """
    url = settings.bus.url
    if url.startswith("kafka://"):
        need_kafka()
    elif url != "embedded":
        raise SettingsError("bus.url: allowed are `embedded` and `kafka://host:port[,host:port]`", value=url)


async def _open_kafka(settings: Settings) -> Bus:
    from riskwire.bus.kafka.bus import KafkaBus  # noqa: PLC0415  (aiokafka is an extra)

    return await KafkaBus.open(settings.bus, settings.kafka)


def need_kafka() -> None:
    """Make sure that Kafka can be spoken to.

    Raises:
        SettingsError: the extra is not installed.
    """
    if find_spec("aiokafka") is None:
        raise SettingsError(
            "bus.url names Kafka, and the Python package that speaks to it is not installed",
            do='Install it: pip install "riskwire[kafka]"',
        )
