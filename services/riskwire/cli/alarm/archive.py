"""What the commands that take an archive through the stages share: their options, their input, their progress bar."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskwire.settings import Settings

if TYPE_CHECKING:
    from riskwire.alerting.events import EventRules
    from riskwire.backtest.archive_signals import Progress
    from riskwire.backtest.event_list import ListedEvent
    from riskwire.backtest.signal_log import SignalLog
    from riskwire.entities.watchlist import Watchlist

RulesFile = Annotated[
    Path | None,
    typer.Option("--rules", metavar="FILE", help="Rules of event alerts that override the shipped ones."),
]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="Folder that keeps what the model read, for the next run.",
        show_default="~/.cache/riskwire/backtest",
    ),
]


@dataclass(frozen=True, slots=True)
class ArchiveInput:
    """The signals of an archive, and what is judged by them."""

    log: SignalLog
    watchlist: Watchlist
    rules: EventRules
    events: Sequence[ListedEvent]

    @property
    def families(self) -> dict[str, str]:
        """The family of each event type."""
        return {event_type: place.family for event_type, place in self.rules.places.items()}


def default_cache() -> Path:
    """Returns the folder that keeps readings: `riskwire/backtest` in `$XDG_CACHE_HOME`, by default `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "riskwire" / "backtest"


async def read_input(
    settings: Settings, archive: Path, *, events: Path | None, cache: Path | None, limit: int | None
) -> ArchiveInput:
    """Reads watchlist, rules and events, and takes the archive through the infer stage; shows how far that is.

    Args:
        events: the list of events; None for none.
        cache: the folder that keeps readings and signals; None for the default one.
        limit: the most lines of the archive; None for all.

    Raises:
        RiskwireError: a file cannot be read or written.
    """
    from riskwire.alerting.events import load_rules
    from riskwire.app.inputs import configured_watchlist
    from riskwire.backtest.archive_signals import read_archive
    from riskwire.backtest.event_list import read_events

    watchlist = configured_watchlist(settings)
    rules = load_rules(settings.alerting.rules)
    listed = read_events(events) if events is not None else ()
    with _reading_bar() as progress:
        log = await read_archive(archive, settings, watchlist, cache or default_cache(), limit=limit, progress=progress)
    return ArchiveInput(log, watchlist, rules, listed)


@contextmanager
def _reading_bar() -> Iterator[Progress]:
    """Shows on standard error how much of the archive is read, if that is a terminal; yields what updates it."""
    from riskwire.cli.terminal import stories_bar

    with stories_bar() as bar:
        task = bar.add_task("reading", total=None, stories=0)
        yield lambda done, size, stories: bar.update(task, completed=done, total=size, stories=stories)
