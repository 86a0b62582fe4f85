"""`riskwire topics create|check`: the topics of the Kafka cluster that `bus.url` names."""

from __future__ import annotations

import sys

import typer

from riskwire.cli.options import ConfigFile, run_to_end, settings_of
from riskwire.errors import SettingsError
from riskwire.settings import Settings

topics_app = typer.Typer(help="Create the topics on Kafka, or check them.", no_args_is_help=True)


@topics_app.command()
def create(config: ConfigFile = None) -> None:
    """Create missing topics. Exits with 1 if a topic that existed differs from what riskwire needs."""
    run_to_end(create_missing_topics(settings_of(config)))


@topics_app.command()
def check(config: ConfigFile = None) -> None:
    """Print how topics differ from what riskwire needs. Exits with 1 if any topic differs."""
    run_to_end(check_topics(settings_of(config)))


async def create_missing_topics(settings: Settings) -> int:
    """Creates missing topics and prints their names, then prints how topics differ from what riskwire needs.

    Returns:
        the exit code: 1 if any topic differs, else 0.

    Raises:
        SettingsError: the bus is not Kafka.
    """
    _require_kafka_bus(settings)
    from riskwire.bus.kafka.topics import create_topics

    created = await create_topics(settings.bus, settings.kafka)
    for name in created:
        print(f"created {name}")
    if not created:
        print("Every topic exists.")
    return await _print_differences(settings)


async def check_topics(settings: Settings) -> int:
    """Prints how topics differ from what riskwire needs. Returns the exit code: 1 if any topic differs, else 0.

    Raises:
        SettingsError: the bus is not Kafka.
    """
    _require_kafka_bus(settings)
    code = await _print_differences(settings)
    if not code:
        print("Every topic is as it should be.")
    return code


async def _print_differences(settings: Settings) -> int:
    """Prints how topics differ from what riskwire needs, to standard error. Returns 1 if any differs, else 0."""
    from riskwire.bus.kafka.topics import topic_differences

    differences = await topic_differences(settings.bus, settings.kafka)
    for difference in differences:
        print(difference, file=sys.stderr)
    return 1 if differences else 0


def _require_kafka_bus(settings: Settings) -> None:
    """Raises a `SettingsError` if the bus is not Kafka, or if the Kafka client is not installed."""
    from riskwire.bus.open import require_kafka

    if settings.bus.url == "embedded":
        raise SettingsError(
            "topics are created on Kafka only, and bus.url is `embedded`",
            do="Set RISKWIRE_BUS__URL=kafka://host:port",
        )
    require_kafka()
