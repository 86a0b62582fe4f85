"""`riskwire db`: checks and upgrades the schema of the store, and lets a role of PostgreSQL read it."""

from __future__ import annotations

from typing import Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, settings_of

db_app = typer.Typer(help="Check and upgrade the schema of the store.", no_args_is_help=True)


@db_app.command()
def check(data: Data = None, config: ConfigFile = None) -> None:
    """Check that this riskwire can use the store. Changes nothing; fails with code 2 if it cannot.

    A store that does not exist yet is no failure: `riskwire run`, or the service that stores, creates it.
    """
    from riskwire.store.database.engine import store_url
    from riskwire.store.database.upgrade import schema_version

    settings = settings_of(config, data=data)
    version = schema_version(settings)
    where = store_url(settings).render_as_string(hide_password=True)
    if version is None:
        typer.echo(f"There is no store yet: {where}")
    else:
        typer.echo(f"The store has version {version}, which this riskwire uses: {where}")


@db_app.command()
def upgrade(data: Data = None, config: ConfigFile = None) -> None:
    """Upgrade the schema of the store, or create an empty store. Stop every process that uses the store before."""
    from riskwire.store.database.upgrade import upgrade_store
    from riskwire.store.tables import SCHEMA_VERSION

    before = upgrade_store(settings_of(config, data=data))
    if before is None:
        typer.echo(f"Created an empty store of version {SCHEMA_VERSION}.")
    elif before == SCHEMA_VERSION:
        typer.echo(f"The store has version {SCHEMA_VERSION} already.")
    else:
        typer.echo(f"Upgraded the store from version {before} to {SCHEMA_VERSION}.")


@db_app.command()
def grant_reader(
    role: Annotated[str, typer.Argument(help="An existing role of PostgreSQL, for example that of Grafana.")],
    config: ConfigFile = None,
) -> None:
    """Let a role of PostgreSQL read the tables of the store, and write none."""
    from riskwire.store.database import upgrade as store_upgrade

    store_upgrade.grant_reader(settings_of(config), role)
    typer.echo(f"{role} may read the store.")
