"""Options that several commands share, and the functions that turn them into settings and run a command."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from riskwire.errors import SettingsError, raise_faults
from riskwire.logs import configure_logging
from riskwire.settings import Settings, load_usable_settings

Archive = Annotated[
    Path, typer.Argument(metavar="ARCHIVE", help="JSON lines or CSV: uncompressed, .gz or .zst; or Parquet.")
]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Data directory.", show_default=False)]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file; by default `riskwire.yaml` in the working directory, if it exists.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Limit = Annotated[int, typer.Option("--limit", help="Most rows.", min=1, max=1_000_000_000)]
StoryLimit = Annotated[int | None, typer.Option("--limit", help="Only the first N stories.", min=1, max=10**12)]
WatchlistFile = Annotated[
    Path | None, typer.Option("--watchlist", metavar="FILE", help="Watchlist (YAML or CSV).", show_default=False)
]
FeedsFile = Annotated[
    Path | None, typer.Option("--feeds", metavar="FILE", help="Feed list (YAML).", show_default=False)
]
Port = Annotated[
    int | None,
    typer.Option("--port", help="Port of the page; 0 chooses a free one.", min=0, max=65_535, show_default="8080"),
]


def settings_of(config: Path | None, **options: Any) -> Settings:
    """Returns the settings with the options of the command line, and configures logging.

    Args:
        config: the settings file.
        options: values by setting (`web__port` for `web.port`); None for an option that was not given.

    Raises:
        SettingsError: a setting cannot be used.
        ExceptionGroup: of SettingsError, if several cannot.
    """
    settings, faults = load_usable_settings(config, _overrides(options))
    raise_faults(faults, "the settings cannot be used")
    configure_logging(settings.log)  # in every command: logs must not go to standard output
    return settings


def usable_settings_of(config: Path | None, **options: Any) -> tuple[Settings, list[SettingsError]]:
    """Returns what `settings_of` returns, without the settings that cannot be used, and an error for each of those."""
    settings, faults = load_usable_settings(config, _overrides(options))
    configure_logging(settings.log)
    return settings, faults


def _overrides(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that were given as a tree of settings."""
    overrides: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        section, _, key = name.partition("__")
        if key:
            overrides.setdefault(section, {})[key] = value
        else:
            overrides[section] = value
    return overrides


def speed_of(text: str) -> float | None:
    """Returns the speed that `--speed` names, or None for `max`.

    Raises:
        SettingsError: not a speed.
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise SettingsError("--speed: not a number greater than 0, and not `max`", value=text)
    return speed


def run_to_end(main: Coroutine[Any, Any, int], *, serves: bool = False) -> None:
    """Runs a coroutine on uvloop and exits with its code. SIGTERM and SIGINT cancel it, so that it can clean up.

    Args:
        serves: the command runs until it is stopped, so a signal ends it with code 0. Any other command that a signal
            ends was interrupted: it says so, and ends with 128 plus the number of the signal.

    Raises:
        typer.Exit: always, with the exit code.
    """
    import uvloop

    received: list[signal.Signals] = []

    async def cancellable() -> int:
        """Awaits `main`, and cancels it on SIGTERM or SIGINT. Keeps the signal in `received`."""
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        def cancel(number: signal.Signals) -> None:
            received.append(number)
            task.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, cancel, number)
        return await main

    try:
        code = uvloop.run(cancellable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 0 if serves else 128 + (received[0] if received else signal.SIGINT)
        if not serves:
            typer.echo("riskwire: interrupted before the end; nothing is lost, run it again to continue.", err=True)
    raise typer.Exit(code)
