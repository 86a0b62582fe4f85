"""`riskwire calibrate`: sets the thresholds of spikes and slides by how often they notify on an archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskwire.cli.alarm.archive import ArchiveInput, CacheFolder, RulesFile, read_input
from riskwire.cli.options import Archive, ConfigFile, StoryLimit, WatchlistFile, run_to_end, settings_of
from riskwire.settings import Settings

if TYPE_CHECKING:
    from riskwire.backtest.calibration import CalibrationRun


def calibrate(
    archive: Archive,
    watchlist: WatchlistFile = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The file to write, for alerting.calibration.")
    ] = Path("calibration.json"),
    events: Annotated[
        Path | None,
        typer.Option("--events", metavar="FILE", help="Events that should be told, to see what the budget costs."),
    ] = None,
    rules: RulesFile = None,
    cache: CacheFolder = None,
    limit: StoryLimit = None,
    config: ConfigFile = None,
) -> None:
    """Set the thresholds of spikes and slides so that an archive gives as many notifications as the budget allows."""
    settings = settings_of(config, watchlist=watchlist, alerting__rules=rules)
    run_to_end(calibrate_archive(settings, archive, out, events=events, cache=cache, limit=limit))


async def calibrate_archive(
    settings: Settings, archive: Path, out: Path, *, events: Path | None, cache: Path | None, limit: int | None
) -> int:
    """Calibrates, writes the file and prints the figures.

    Args:
        events: the list of events; None for none.
        cache: the folder that keeps readings and signals; None for the default one.
        limit: the most lines of the archive; None for all.

    Returns:
        the exit code, 0.

    Raises:
        RiskwireError: a file cannot be read or written.
    """
    from riskwire.backtest.calibration import calibrate as calibrate_log

    read = await read_input(settings, archive, events=events, cache=cache, limit=limit)
    run = calibrate_log(read.log, archive, read.watchlist, settings.alerting, read.rules)
    write_calibration(run, out)
    print_calibration(run, settings)
    if read.events:
        print_cost(run, read, archive, settings)
    print(f"written: {out} (set alerting.calibration to it)")
    return 0


def write_calibration(run: CalibrationRun, path: Path) -> None:
    """Writes the calibration file.

    Raises:
        RiskwireError: it cannot be written.
    """
    from riskwire.errors import RiskwireError

    try:
        path.write_text(run.calibration.to_text(), encoding="utf-8")
    except OSError as error:
        raise RiskwireError("the calibration cannot be written", where=str(path), do="Name another file") from error


def print_calibration(run: CalibrationRun, settings: Settings) -> None:
    """Prints the thresholds, beside those from theory, and how often they notified, beside the budget."""
    from riskwire.alerting.calibration import expected_rates, theoretical_limits
    from riskwire.cli.terminal import print_table

    archive, search = run.calibration.archive, run.search
    theory, limits = theoretical_limits(settings.alerting), search.limits
    print(
        f"{run.calibration.bundle}: {archive.articles} articles, {archive.months:.1f} months, {search.runs} runs; "
        f"{archive.targets} targets, {archive.active_targets} active ({archive.active_adverse:.1f} adverse stories), "
        f"{archive.quiet_targets} quieter ({archive.quiet_adverse:.1f})"
    )
    expected = expected_rates(settings.alerting.budget)
    rows = []
    for group, targets, counts, group_limits in (
        ("active", archive.active_targets, search.counts_active, limits.active),
        ("quieter", archive.quiet_targets, search.counts_quiet, limits.quiet),
    ):
        months = max(targets, 1) * archive.months
        for name, budget, count, threshold, theoretical in (
            ("spike, notice", expected["spike_notice"], counts.notices, group_limits.spike.notice, theory.spike.notice),
            ("spike, page", expected["spike_page"], counts.pages, group_limits.spike.page, theory.spike.page),
            ("slide", expected["slide"], counts.slides, group_limits.slide, theory.slide),
        ):
            figures = (f"{budget:.4f}", f"{count / months:.4f}", str(count), f"{threshold:.3f}", f"{theoretical:.3f}")
            rows.append((f"{name}, {group}", *figures))
    print_table(("alerts", "budget", "achieved", "notifications", "threshold", "from theory"), rows)
    print("Budget and achieved: notifications per target and month. Event alerts have no budget.")


def print_cost(run: CalibrationRun, read: ArchiveInput, archive: Path, settings: Settings) -> None:
    """Prints how many events are reported with calibrated and theoretical thresholds, and by event alerts alone."""
    from dataclasses import replace

    from riskwire.alerting.calibration import LimitTable, theoretical_limits
    from riskwire.backtest.alert_run import run_alerting
    from riskwire.backtest.run import Backtest
    from riskwire.cli.terminal import print_table

    tested = Backtest.of(read.log, read.watchlist, read.events, read.families)
    calibrated, theory = (
        run_alerting(read.log.records(), settings.alerting, read.rules, LimitTable.fixed(limits))
        for limits in (run.search.limits, theoretical_limits(settings.alerting))
    )
    of_events = replace(calibrated, alerts=[alert for alert in calibrated.alerts if alert.kind == "event"])
    rows = []
    for name, alerts in (("calibrated", calibrated), ("from theory", theory), ("event alerts alone", of_events)):
        figures = tested.results(alerts, archive=archive).figures
        if figures is not None:
            totals = figures.whole
            rows.append(
                (
                    name,
                    f"{totals.told} of {totals.events}",
                    f"{totals.crises_told} of {totals.crises}",
                    str(totals.notifications),
                )
            )
    print_table(("thresholds", "events told", "crises told", "notifications"), rows)
