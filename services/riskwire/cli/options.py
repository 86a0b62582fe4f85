"""What the commands of the command line share: options, settings with them laid over, and running to the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from riskwire.logs import configure_logging
from riskwire.settings import Retired, Settings, load_settings

log = structlog.get_logger(__name__)

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Data directory.", show_default=False)]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Settings file; `riskwire.yaml` here if there is one.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int, typer.Option("--limit", help="Most rows.", min=1, max=1_000_000_000)]


def settings_of(config: Path | None, **flat: Any) -> Settings:
    """Settings with what the command line gave laid over them (`web__port` stands for `web.port`); logging as they say.
    Whoever gives one that is no longer needed is warned.

    Raises:
        SettingsError: one that cannot be used.
    """
    overrides: dict[str, Any] = {}
    for name, value in flat.items():
        if value is None:
            continue
        section, _, key = name.partition("__")
        if key:
            overrides.setdefault(section, {})[key] = value
        else:
            overrides[section] = value
    retired: list[Retired] = []
    settings = load_settings(config, overrides, retired.append)
    configure_logging(settings.log)  # here, so that no command ever logs to standard output
    for one in retired:
        log.warning("a setting is no longer needed", setting=one.key, where=", ".join(one.where), why=one.why)
    return settings


def run_to_end(main: Coroutine[Any, Any, int], *, serves: bool = False) -> None:
    """Run a coroutine on uvloop; SIGTERM ends it as Ctrl-C does, in good order.

    Args:
        serves: it runs until it is stopped, so being stopped is its good end; anything else has then been cut short.
    """
    import uvloop

    signals: list[signal.Signals] = []

    async def stoppable() -> int:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        def stop(told: signal.Signals) -> None:
            signals.append(told)
            task.cancel()

        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, stop, one)
        return await main

    try:
        code = uvloop.run(stoppable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 0 if serves else 128 + (signals[0] if signals else signal.SIGINT)
        if not serves:
            typer.echo("riskwire: interrupted before the end; nothing is lost, run it again to go on.", err=True)
    raise typer.Exit(code)
