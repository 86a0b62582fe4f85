"""`riskwire topics create|check`: the topics of the cluster that `bus.url` names."""

from __future__ import annotations

import sys

from riskwire.bus.open import need_kafka
from riskwire.errors import SettingsError
from riskwire.settings import Settings


async def create(settings: Settings) -> int:
    """Make what is missing, and say what; then what differs in what was there."""
    _need_kafka_bus(settings)
    from riskwire.bus.kafka.topics import create_topics

    made = await create_topics(settings.bus, settings.kafka)
    for name in made:
        print(f"made {name}")
    if not made:
        print("Every topic is there.")
    return await _tell_differences(settings)


async def check(settings: Settings) -> int:
    """Say what differs; 1 where something does."""
    _need_kafka_bus(settings)
    code = await _tell_differences(settings)
    if not code:
        print("Every topic is as it should be.")
    return code


async def _tell_differences(settings: Settings) -> int:
    from riskwire.bus.kafka.topics import topic_differences

    found = await topic_differences(settings.bus, settings.kafka)
    for difference in found:
        print(difference, file=sys.stderr)
    return 1 if found else 0


def _need_kafka_bus(settings: Settings) -> None:
    if settings.bus.url == "embedded":
        raise SettingsError(
            "there are topics to make on Kafka only, and bus.url is `embedded`",
            do="Set RISKWIRE_BUS__URL=kafka://host:port",
        )
    need_kafka()
