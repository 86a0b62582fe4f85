"""`riskwire status`: how many records were published, and how many each stage still has to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from riskwire import __version__
from riskwire.cli.options import ConfigFile, Data, Json, run_to_end, settings_of
from riskwire.errors import RiskwireError
from riskwire.settings import Settings

if TYPE_CHECKING:
    from riskwire.alerting.calibration import AchievedRate
    from riskwire.bus import Bus, Lag


def status(
    json: Json = False,
    partitions: Annotated[
        bool, typer.Option("--partitions", help="Show every partition, also those without unread records.")
    ] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Show records per topic, lag per group and partition, model bundle and version."""
    run_to_end(show_status(settings_of(config, data=data), json=json, partitions=partitions))


async def show_status(settings: Settings, *, json: bool, partitions: bool) -> int:
    """Prints the records of each topic, how many each group has not read, the rates of notifications, and the bundle.

    A bundle that cannot be loaded is shown with the error. On Kafka there are no rates: reading them takes the whole
    state of the alert stage, and the metrics have them. Returns exit code 0.

    Args:
        partitions: shows every partition, not only those with unread records.
    """
    from riskwire.bus import lag_by_group, lag_by_partition
    from riskwire.cli.data import open_existing_bus
    from riskwire.cli.terminal import print_json_lines, print_table, printable
    from riskwire.inference.model.bundle import Bundle

    async with open_existing_bus(settings) as bus:
        topics = await bus.records()
        lags = await bus.lag()
        rates = await notification_rates(bus, settings) if settings.bus.url == "embedded" else []
    try:
        bundle = Bundle.load(settings.inference.bundle).label
    except RiskwireError as error:
        bundle = f"unusable: {error}"
    if json:
        print_json_lines(
            [
                {
                    "topics": topics,
                    "lag": lag_by_group(lags),
                    "partitions": lag_by_partition(lags),
                    "notifications": [rate_fields(rate) for rate in rates],
                    "thresholds": thresholds_of(settings, bundle),
                    "bundle": bundle,
                    "version": __version__,
                }
            ]
        )
        return 0
    print_table(("topic", "records"), [(topic, str(count)) for topic, count in topics.items()])
    print()
    print_table(
        ("group", "reads", "unread", "partition: unread"),
        lag_rows(lags, every_partition=partitions),
        empty="No stage has run yet.",
    )
    print()
    if rates:
        print_table(("alerts", "in 90 days", "per party and month", "budget", "drift"), [*map(rate_row, rates)])
        print(f"Thresholds of spikes and slides: {thresholds_of(settings, bundle)}.")
        print()
    print(printable(f"bundle {bundle}, riskwire {__version__}"))
    return 0


async def notification_rates(bus: Bus, settings: Settings) -> list[AchievedRate]:
    """Returns how often alerts on parties notified in the last 90 days of news; empty before the first day."""
    from riskwire.alerting.calibration import DayRates, RateLog, achieved_rates, expected_rates
    from riskwire.pipeline import ALERT

    days = await bus.group_state(ALERT.name, ALERT.reads, RateLog.PREFIX)
    decoded = [DayRates.decoded(value) for value in days.values()]
    return list(achieved_rates(decoded, expected_rates(settings.alerting.budget))) if decoded else []


def thresholds_of(settings: Settings, bundle: str) -> str:
    """Returns where the thresholds of spikes and slides come from, for the configured bundle."""
    from riskwire.alerting.calibration import LimitTable

    table = LimitTable.from_settings(settings.alerting)
    if table.of(bundle).calibrated:
        return f"calibrated for {bundle}"
    note = f"; the calibration is for {table.bundle}" if table.bundle else ""
    return f"from theory{note}"


def rate_fields(rate: AchievedRate) -> dict[str, object]:
    """Returns a rate as `--json` shows it."""
    return {
        "alerts": rate.name,
        "notifications": rate.notifications,
        "party_months": round(rate.target_months, 2),
        "achieved": None if rate.achieved is None else round(rate.achieved, 5),
        "budget": None if rate.expected is None else round(rate.expected, 5),
        "drift": rate.drift,
    }


def rate_row(rate: AchievedRate) -> tuple[str, str, str, str, str]:
    """Returns a rate as a row of the table."""
    return (
        rate.name.replace("_", ", "),
        str(rate.notifications),
        "" if rate.achieved is None else f"{rate.achieved:.4f}",
        "none" if rate.expected is None else f"{rate.expected:.4f}",
        rate.drift or "",
    )


def lag_rows(lags: Sequence[Lag], *, every_partition: bool) -> list[tuple[str, str, str, str]]:
    """Returns a row for each group and topic: group, topic, total lag, and the lag of each partition as `0: 12  1: 3`.

    Args:
        lags: the number of records that a group has not read of a partition.
        every_partition: lists every partition, not only those with unread records.
    """
    from riskwire.bus import lag_by_partition

    return [
        (
            group,
            topic,
            str(sum(partitions.values())),
            "  ".join(
                f"{number}: {records}" for number, records in sorted(partitions.items()) if records or every_partition
            ),
        )
        for group, topics in lag_by_partition(lags).items()
        for topic, partitions in topics.items()
    ]
