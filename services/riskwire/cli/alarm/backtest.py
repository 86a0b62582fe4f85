"""`riskwire backtest`: runs an archive through the stages in event time and measures the alerts."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskwire.cli.alarm.archive import CacheFolder, RulesFile, read_input
from riskwire.cli.options import Archive, ConfigFile, StoryLimit, WatchlistFile, run_to_end, settings_of
from riskwire.settings import Settings

if TYPE_CHECKING:
    from riskwire.backtest.results import BacktestResults


def backtest(
    archive: Archive,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the results; it is created.")],
    watchlist: WatchlistFile = None,
    events: Annotated[
        Path | None,
        typer.Option(
            "--events",
            metavar="FILE",
            help="Events that should be told: line, date, target, severity, type, what, with tabs between them.",
        ),
    ] = None,
    rules: RulesFile = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Run simpler alarms at the same number of notifications (needs --events).")
    ] = False,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", help="Draw N notifications to read, as sample.tsv.", min=0)
    ] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the sample.")] = 0,
    cache: CacheFolder = None,
    limit: StoryLimit = None,
    config: ConfigFile = None,
) -> None:
    """Run an archive through the stages in event time, and list the alerts and the known events that they reported."""
    settings = settings_of(config, watchlist=watchlist, alerting__rules=rules)
    run_to_end(
        backtest_archive(
            settings,
            archive,
            out,
            events=events,
            compare=compare,
            sample=sample,
            seed=seed,
            cache=cache,
            limit=limit,
        )
    )


async def backtest_archive(
    settings: Settings,
    archive: Path,
    out: Path,
    *,
    events: Path | None,
    compare: bool,
    sample: int,
    seed: int,
    cache: Path | None,
    limit: int | None,
) -> int:
    """Runs a back-test, writes its files and prints its figures.

    Args:
        events: the list of events; None for none.
        compare: also runs the rivals.
        sample: how many notifications are drawn to read.
        cache: the folder that keeps readings and signals; None for the default one.
        limit: the most lines of the archive; None for all.

    Returns:
        the exit code, 0.

    Raises:
        RiskwireError: a file cannot be read or written, or `compare` lacks a list of events.
    """
    from riskwire.backtest.files import write_files
    from riskwire.backtest.report import draw, has_matplotlib
    from riskwire.backtest.run import Backtest
    from riskwire.backtest.sample import draw_sample, write_sample
    from riskwire.errors import SettingsError

    if compare and events is None:
        raise SettingsError("--compare needs a list of events", do="Name one with --events")
    started = time.monotonic()
    read = await read_input(settings, archive, events=events, cache=cache, limit=limit)
    tested = Backtest.of(read.log, read.watchlist, read.events, read.families)
    run = tested.alerts(settings.alerting, read.rules)
    results = tested.results(run, archive=archive, compare=compare)
    if not has_matplotlib():
        print("riskwire: no drawings: they need Matplotlib (pip install 'riskwire[report]')", file=sys.stderr)
    write_files(out, run, results, draw(results) if has_matplotlib() else [])
    if sample:
        lines = {report.url: read.log.summary.lines[report.article] for report in tested.reports}
        write_sample(out / "sample.tsv", draw_sample(results.notifications, sample, seed), lines)
    print_results(results, time.monotonic() - started)
    return 0


def print_results(results: BacktestResults, seconds: float) -> None:
    """Prints the figures of a back-test to standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=120)
    console.print(
        f"{results.articles} articles, {results.months:.1f} months, {results.signals} signals, "
        f"{len(results.notifications)} notifications, in {seconds:.0f} s"
    )
    rates = Table("kind", "tier", "count", "a month", "per target and month")
    for rate in results.rates:
        rates.add_row(rate.kind, rate.tier, str(rate.count), str(rate.a_month), str(rate.per_target))
    console.print(rates)
    if results.figures is None:
        return
    table = Table("", "told", "same family", "crises", "notifications", "on list", "first story", "delay h")
    figures = results.figures
    rows = [("riskwire", figures.whole), *figures.by_year.items()]
    for severity, part in figures.by_severity.items():
        rows.append((f"severity {severity}", part))
    rows += [(rival.name, rival.figures.whole) for rival in results.rivals]
    for name, part in rows:
        table.add_row(
            name,
            f"{part.told}/{part.events} {part.told_share:.3f}",
            str(part.same_family),
            f"{part.crises_told}/{part.crises} {part.crises_share:.3f}",
            str(part.notifications) if part.notifications else "",
            f"{part.on_list_share:.3f}" if part.notifications else "",
            f"{part.first_story_share:.2f}",
            "" if part.median_delay_h is None else str(part.median_delay_h),
        )
    console.print(table)
    console.print(f"by chance (events moved by 30 days): {figures.placebo} of {figures.whole.events}")
    console.print("missed: " + ", ".join(f"{reason} {count}" for reason, count in results.missed_by_reason))
