"""`riskwire alerts|targets|stories`: lists what the store holds, as tables or as JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, Json, Limit, settings_of
from riskwire.errors import SettingsError
from riskwire.settings import Settings

if TYPE_CHECKING:
    from riskwire.records import NearestWindow, Sentiment
    from riskwire.store import AlertOrder


def list_alerts(settings: Settings, *, order: AlertOrder, open_only: bool, json: bool, limit: int) -> None:
    """Prints the newest record of each alert."""
    from riskwire.cli.data import open_existing_store
    from riskwire.cli.terminal import print_json_lines, print_table, time_text

    with open_existing_store(settings) as store:
        rows = store.alerts(limit=limit, order=order, status="open" if open_only else None)
    if json:
        print_json_lines(rows)
        return
    print_table(
        (f"at, {settings.zone}", "id", "kind", "tier", "status", "handled", "severity", "weight", "name", "what"),
        [
            (
                time_text(row.at, settings.zone),
                row.id[:8],
                row.kind,
                row.tier,
                row.status,
                (row.handling or ("muted" if row.muted else "")).replace("_", " "),
                row.severity,
                f"{row.weight:g}",
                row.name,
                row.summary,
            )
            for row in rows
        ],
        empty="No alerts yet.",
    )


def targets(json: Json = False, limit: Limit = 100_000, data: Data = None, config: ConfigFile = None) -> None:
    """List the targets, with their score, their surprise, and the window that is nearest to firing an alert.

    An alert fires once a window reaches both limits: so many negative stories, and so much surprise.
    """
    from riskwire.cli.data import open_existing_store
    from riskwire.cli.terminal import print_json_lines, print_table, time_text

    settings = settings_of(config, data=data)
    with open_existing_store(settings) as store:
        rows = store.targets(limit=limit)
    if json:
        print_json_lines(rows)
        return
    print_table(
        ("target", "name", "stories", "articles", "score", "surprise", "nearest window", f"last news, {settings.zone}"),
        [
            (
                row.target,
                row.name,
                str(row.stories),
                str(row.articles),
                _signed(row.score),
                f"{row.surprise:.1f}" + (f" of {row.nearest.threshold:.1f}" if row.nearest else ""),
                _nearest(row.nearest),
                time_text(row.last_seen, settings.zone, empty="no news yet"),
            )
            for row in rows
        ],
        empty="No targets yet.",
        uncut=("target",),
    )


def stories(
    target: Annotated[str, typer.Option("--target", metavar="TARGET", help="For example `entity:aapl` or `market`.")],
    json: Json = False,
    limit: Limit = 100_000,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """List the stories about a target, newest first.

    The level stands beside the probability that it is adverse. Level and event types are empty where the bundle does
    not predict them.
    """
    list_stories(settings_of(config, data=data), target, json=json, limit=limit)


def list_stories(settings: Settings, target: str, *, json: bool, limit: int) -> None:
    """Prints the stories about a target.

    Raises:
        SettingsError: the target has characters that are not printable.
    """
    from riskwire.cli.data import open_existing_store
    from riskwire.cli.terminal import print_json_lines, print_table, time_text

    if not target.isprintable():
        raise SettingsError("--target: not a target", value=target, do="`riskwire targets` lists the targets")
    with open_existing_store(settings) as store:
        rows = store.stories(target, limit=limit)
    if json:
        print_json_lines(rows)
        return
    print_table(
        (
            "level",
            "events",
            f"published, {settings.zone}",
            f"seen, {settings.zone}",
            "negative",
            "source",
            "publisher",
            "title",
        ),
        [
            (
                f"{row.level.label(row.adverse_from)} {row.level.adverse:.2f}" if row.level else "",
                ", ".join(event.label for event in row.events or ()),
                time_text(row.published_at, settings.zone),
                time_text(row.seen_at, settings.zone),
                _negative(row.sentiment),
                row.source,
                row.publisher,
                row.title,
            )
            for row in rows
        ],
        empty=f"No stories about {target}; `riskwire targets` lists the targets.",
    )


def _signed(score: float | None) -> str:
    return "" if score is None else f"{score:+.2f}"


def _nearest(nearest: NearestWindow | None) -> str:
    """Returns how many stories of those that it takes are in which window: `2 of 3 in 6 hours`."""
    from riskwire.alerting.explain import duration

    return f"{nearest.stories} of {nearest.min_stories} in {duration(nearest.window_s)}" if nearest else ""


def _negative(sentiment: Sentiment | None) -> str:
    return "" if sentiment is None else f"{sentiment.negative:.2f}"
