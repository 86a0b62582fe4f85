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
    from riskwire.bus import Lag


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
    """Prints the records of each topic, how many each group has not read, model bundle and version.

    A bundle that cannot be loaded is shown with the error. Returns exit code 0.

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
    print(printable(f"bundle {bundle}, riskwire {__version__}"))
    return 0


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
