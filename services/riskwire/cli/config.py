"""`riskwire config show|check`: the settings, and the inputs that they name."""

from __future__ import annotations

import typer

from riskwire.cli.options import ConfigFile, settings_of
from riskwire.settings import Settings, describe_settings

_RISKY_TITLES = 5_000
"""Titles of the store in which risky names are counted."""

config_app = typer.Typer(help="Show the settings, or check them.", no_args_is_help=True)


@config_app.command()
def show(config: ConfigFile = None) -> None:
    """Show every setting with its value and purpose; secrets are masked."""
    for key, value, purpose in describe_settings(settings_of(config)):
        typer.echo(f"{key} = {value}\n    {purpose}")


@config_app.command()
def check(config: ConfigFile = None) -> None:
    """Check the settings, and the feed list, watchlist, bundle and receivers they name."""
    settings = settings_of(config)
    check_settings(settings)
    _warn_of_risky_names(settings)
    typer.echo("The settings are valid.")


def check_settings(settings: Settings) -> None:
    """Checks feed list, port, watchlist, bus, store, receivers and bundle, without opening bus or store.

    Each call reads or makes one of these and discards it; the port is bound for a moment.

    Raises:
        RiskwireError: one of these inputs cannot be used.
    """
    from riskwire.app.inputs import configured_feeds, configured_watchlist
    from riskwire.bus.open import check_bus
    from riskwire.inference.model.bundle import Bundle
    from riskwire.notify import NotifyStage
    from riskwire.store.engine import store_url
    from riskwire.web import bind, bind_probes

    configured_feeds(settings)
    bind(settings.web).close()
    if (probes := bind_probes(settings.web)) is not None:
        probes.close()
    configured_watchlist(settings)
    check_bus(settings)
    if settings.bus.url != "embedded":
        from riskwire.bus.kafka.cluster import Cluster

        Cluster(settings.bus.url, settings.kafka).client_options()
    store_url(settings)
    NotifyStage(settings.notify)
    Bundle.load(settings.inference.bundle)


def _warn_of_risky_names(settings: Settings) -> None:
    """Prints to stderr which names of the watchlist may mean something else, with what they match in the store."""
    from riskwire.app.inputs import configured_watchlist
    from riskwire.cli.data import open_existing_store
    from riskwire.errors import RiskwireError
    from riskwire.inference.linking.risky_names import risky_names

    watchlist = configured_watchlist(settings)
    try:
        with open_existing_store(settings) as store:
            titles = store.newest_titles(_RISKY_TITLES)
    except RiskwireError:
        titles = []  # before the first start there is no store
    for name in risky_names(watchlist, titles):
        what = "the name of an index" if name.need == "mark" else "a common word"
        typer.echo(f"warning: {name.text!r} of {name.entry} is {what}: it counts only with support", err=True)
        if name.titles:
            rest = "the words around it show the company, in the others the model and the article decide"
            typer.echo(f"    in {name.titles} of the newest {len(titles)} titles; in {name.shown} {rest}", err=True)
        for title in name.examples:
            typer.echo(f"    - {title}", err=True)
        if name.examples:
            typer.echo(f"    list phrases that mean something else under `exclude` of {name.entry}", err=True)
