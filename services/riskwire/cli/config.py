"""`riskwire config show|check`: the settings, and the inputs that they name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import typer

from riskwire.cli.options import ConfigFile, Data, FeedsFile, WatchlistFile, settings_of, usable_settings_of
from riskwire.errors import RiskwireError, leaves, raise_faults
from riskwire.settings import Settings, describe_settings

_REACH_S = 10.0
"""Seconds in which Kafka must answer."""
_RISKY_TITLES = 5_000
"""Titles of the store in which risky names are counted."""

config_app = typer.Typer(help="Show the settings, or check them.", no_args_is_help=True)


@config_app.command()
def show(config: ConfigFile = None) -> None:
    """Show every setting with its value and purpose; secrets are masked."""
    for key, value, purpose in describe_settings(settings_of(config)):
        typer.echo(f"{key} = {value}\n    {purpose}")


@config_app.command()
def check(
    data: Data = None, feeds: FeedsFile = None, watchlist: WatchlistFile = None, config: ConfigFile = None
) -> None:
    """Check the settings and what they name: feeds, watchlist, bundle, rules, receivers, port, bus and store.

    Lists all faults at once. The bus and the store are reached, and nothing is changed.
    """
    settings, faults = usable_settings_of(config, data=data, feeds=feeds, watchlist=watchlist)
    counts = check_settings(settings, faults)
    _warn_of_risky_names(settings)
    typer.echo(f"The settings are valid: {', '.join(counts)}.")


def check_settings(settings: Settings, known: Sequence[RiskwireError] = ()) -> list[str]:
    """Checks feed list, port, watchlist, bus, store, receivers, bundle and rules. Returns what was found, in words.

    Each call reads or makes one of these and discards it; the port is bound for a moment.

    Args:
        settings: those without the values that cannot be used.
        known: the faults of those values, which are raised with the others.

    Raises:
        RiskwireError: one of these inputs cannot be used.
        ExceptionGroup: of RiskwireError, if several cannot.
    """
    faults: list[RiskwireError] = list(known)
    problems: list[str] = []
    for look in (_feeds, _watchlist, _bundle, _rules, _receivers, _port, _bus, _store):
        try:
            problems.append(look(settings))
        except* RiskwireError as group:
            faults += [fault for fault in leaves(group) if isinstance(fault, RiskwireError)]
    raise_faults(faults, "the settings cannot be used")
    return [text for text in problems if text]


def _feeds(settings: Settings) -> str:
    from riskwire.app.inputs import configured_feeds
    from riskwire.cli.terminal import counted

    feeds = configured_feeds(settings)
    enabled = sum(feed.enabled for feed in feeds)
    return counted(enabled, "feed") + ("" if settings.feeds else " of the list that ships")


def _watchlist(settings: Settings) -> str:
    from riskwire.app.inputs import configured_watchlist
    from riskwire.cli.terminal import counted

    entities = configured_watchlist(settings).entities
    groups = len({entity.group for entity in entities if entity.group})
    if not entities:
        return "no watchlist file"
    return f"{counted(len(entities), 'watched entity', 'watched entities')} in {counted(groups, 'group')}"


def _bundle(settings: Settings) -> str:
    from riskwire.inference.model.bundle import Bundle

    return f"bundle {Bundle.load(settings.inference.bundle).label}"


def _rules(settings: Settings) -> str:
    from riskwire.alerting.events import load_rules

    load_rules(settings.alerting.rules)
    return f"rules of {settings.alerting.rules}" if settings.alerting.rules else ""


def _receivers(settings: Settings) -> str:
    from riskwire.cli.terminal import counted
    from riskwire.notify.receivers import configured_receivers, receiver_warnings
    from riskwire.notify.routing import Routing

    receivers = configured_receivers(settings.notify)
    Routing(settings.notify, receivers)
    for warning in receiver_warnings(settings.notify):
        typer.echo(f"warning: {warning}", err=True)
    return f"{counted(len(receivers), 'receiver')} besides the log"


def _port(settings: Settings) -> str:
    from riskwire.web import bind, bind_probes

    bind(settings.web).close()
    if (probes := bind_probes(settings.web)) is not None:
        probes.close()
    return ""


def _bus(settings: Settings) -> str:
    """Reads an existing bus file, or asks Kafka for its topics."""
    from riskwire.bus.embedded import schema
    from riskwire.bus.embedded.bus import FILE
    from riskwire.bus.open import check_bus

    check_bus(settings)
    if settings.bus.url == "embedded":
        schema.check(settings.data / FILE)
        return f"data in {settings.data}" + ("" if (settings.data / FILE).exists() else " (new)")
    asyncio.run(_reach_kafka(settings))
    return f"bus {settings.bus.url}"


async def _reach_kafka(settings: Settings) -> None:
    """Opens the bus on Kafka and closes it.

    Raises:
        SettingsError: a setting of the connection cannot be used.
        BusError: no broker answers, or topics are missing.
    """
    from riskwire.bus.kafka.cluster import Cluster
    from riskwire.bus.open import open_bus

    Cluster(settings.bus.url, settings.kafka).client_options()
    deadline_s = min(_REACH_S, settings.kafka.deadline_s)
    bus = await open_bus(
        settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"deadline_s": deadline_s})})
    )
    await bus.close()


def _store(settings: Settings) -> str:
    """Connects to an existing store, and so loads its driver."""
    from riskwire.store import Store
    from riskwire.store.database.engine import store_url

    Store.check(settings)
    return f"store on {store_url(settings).get_backend_name()}"


def _warn_of_risky_names(settings: Settings) -> None:
    """Prints to stderr which names of the watchlist may mean something else, with what they match in the store."""
    from riskwire.app.inputs import configured_watchlist
    from riskwire.cli.data import open_existing_store
    from riskwire.inference.linking.risky_names import risky_names

    watchlist = configured_watchlist(settings)
    try:
        with open_existing_store(settings) as store:
            titles = store.newest_titles(_RISKY_TITLES)
    except RiskwireError:
        titles = []  # before the first start there is no store
    for name in risky_names(watchlist, titles):
        typer.echo(f"warning: {name.text!r} of {name.entry} is {name.kind}: it counts only with support", err=True)
        if name.titles:
            explanation = "the words around it show the company, in the others the model and the article decide"
            typer.echo(
                f"    in {name.titles} of the newest {len(titles)} titles; in {name.shown} {explanation}", err=True
            )
        for title in name.examples:
            typer.echo(f"    - {title}", err=True)
        if name.examples:
            typer.echo(f"    list phrases that mean something else under `exclude` of {name.entry}", err=True)
