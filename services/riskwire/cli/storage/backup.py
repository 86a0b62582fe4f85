"""`riskwire backup|restore`: copies store and embedded bus into a folder, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, settings_of


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder.")], data: Data = None, config: ConfigFile = None
) -> None:
    """Copy store and embedded bus into a folder, also while riskwire runs. On Kafka, only the store is copied."""
    from datetime import UTC, datetime

    from riskwire.app.backup import back_up
    from riskwire.cli.terminal import counted

    backed_up = back_up(settings_of(config, data=data), folder, datetime.now(UTC))
    parts = "store and bus" if backed_up.bus else "store"
    articles, alerts = counted(backed_up.rows["articles"], "article"), counted(backed_up.rows["alert_heads"], "alert")
    typer.echo(f"{folder}: {parts}, {articles}, {alerts}")


def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `riskwire backup` made.")],
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Restore a backup into an empty data directory or database. Nothing that exists is overwritten."""
    from riskwire.app.backup import restore as restore_backup
    from riskwire.cli.terminal import counted

    restored = restore_backup(settings_of(config, data=data), folder)
    articles, alerts = counted(restored.rows["articles"], "article"), counted(restored.rows["alert_heads"], "alert")
    typer.echo(f"Restored {articles} and {alerts}.")
