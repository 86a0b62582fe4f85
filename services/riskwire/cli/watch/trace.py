"""`riskwire trace`: the way of one article, from its publication to the notification, with times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, Json, run_to_end, settings_of
from riskwire.errors import SettingsError
from riskwire.settings import Settings

if TYPE_CHECKING:
    from riskwire.app.tracing import TraceStep


def trace(
    article: Annotated[
        str, typer.Argument(metavar="ARTICLE", help="The id of an article, the start of it, or its address.")
    ],
    json: Json = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Show the way of an article: seen, analysed, signals, near misses, alerts and notifications, with times.

    Times come from the store and from the bus. A step whose record the bus has deleted has no time.
    """
    run_to_end(show_trace(settings_of(config, data=data), article, json=json))


async def show_trace(settings: Settings, article: str, *, json: bool) -> int:
    """Prints the steps of an article. Returns exit code 0.

    Raises:
        SettingsError: no article, or more than one, has this id or address.
        RiskwireError: the store or the bus cannot be read.
    """
    from riskwire.app.tracing import trace as trace_article
    from riskwire.cli.data import open_existing_bus, open_existing_store
    from riskwire.cli.terminal import print_json_lines, print_table, printable

    with open_existing_store(settings) as store:
        stored = await store.off_loop(store.article, article)
    if stored is None:
        raise SettingsError(
            "no article, or more than one, has this id or address",
            value=article,
            do="Give its id, as `article published` in the log (log.level: debug) or the API has it, or its address",
        )
    async with open_existing_bus(settings) as bus:
        steps = await trace_article(bus, stored)
    if json:
        print_json_lines(steps)
        return 0
    print(printable(f"{stored.title}\n{stored.id}, version {stored.version}\n", lines=True))
    print_table(("step", "at, UTC", "after", "target", "what"), [_row(step) for step in steps], uncut=("step", "after"))
    return 0


def _row(step: TraceStep) -> tuple[str, str, str, str, str]:
    """Returns the cells of a step; of a time only what an operator needs: milliseconds, and the date once a line."""
    at = "" if step.at is None else f"{step.at:%Y-%m-%d %H:%M:%S}.{step.at.microsecond // 1_000:03}"
    return step.step, at, "" if step.lag_s is None else f"{step.lag_s:+,.3f} s", step.target, step.detail
