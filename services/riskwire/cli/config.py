"""`riskwire config show|check`: the settings, and the inputs that they name."""

from __future__ import annotations

import typer

from riskwire.cli.options import ConfigFile, settings_of
from riskwire.settings import Settings, describe_settings

config_app = typer.Typer(help="Show the settings, or check them.", no_args_is_help=True)


@config_app.command()
def show(config: ConfigFile = None) -> None:
    """Show every setting with its value and purpose; secrets are masked."""
    for key, value, purpose in describe_settings(settings_of(config)):
        typer.echo(f"{key} = {value}\n    {purpose}")


@config_app.command()
def check(config: ConfigFile = None) -> None:
    """Check the settings, and the feed list, watchlist, bundle and receivers they name."""
    check_settings(settings_of(config))
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
