"""One calibration: the thresholds that meet the budget on an archive, and how often they notified."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from riskwire.alerting.calibration import (
    ArchiveFigures,
    Calibration,
    DetectorSettings,
    GroupMonths,
    SearchResult,
    find_limits,
    theoretical_limits,
)
from riskwire.alerting.calibration.rates import MONTH_DAYS
from riskwire.alerting.events import EventRules
from riskwire.backtest.calibration.archive_runs import ArchiveRuns, counted_targets
from riskwire.backtest.signal_log import SignalLog
from riskwire.entities.watchlist import Watchlist
from riskwire.errors import RiskwireError
from riskwire.settings import AlertingSettings


@dataclass(frozen=True, slots=True)
class CalibrationRun:
    """A calibration, and the search that found it."""

    calibration: Calibration
    search: SearchResult


def calibrate(
    log: SignalLog, archive: Path, watchlist: Watchlist, settings: AlertingSettings, rules: EventRules | None = None
) -> CalibrationRun:
    """Returns the thresholds at which the signals of an archive give as many notifications as the budget allows.

    Args:
        archive: the file that the signals come from.
        watchlist: if it has entries, its targets are counted, those without news included.

    Raises:
        RiskwireError: the archive has no target with enough articles, or cannot be read.
    """
    targets = counted_targets(log.records(), watchlist)
    if not targets:
        raise RiskwireError(
            "no target has enough articles to calibrate with", where=str(archive), do="Take a longer archive"
        )
    months = round(log.months, 3)
    runs = ArchiveRuns(log.records(), settings, targets, rules)
    decayed = settings.half_life_days / math.log(2) / (months * MONTH_DAYS)
    search = find_limits(
        runs,
        theoretical_limits(settings),
        GroupMonths(
            max(len(runs.quiet), 1) * months,
            len(runs.active) * months,
            round(max(runs.adverse * decayed, 0.1), 3),
            round(runs.adverse_quiet * decayed, 3),
        ),
        settings.budget,
    )
    summary = log.summary
    calibration = Calibration(
        bundle=summary.bundle,
        archive=ArchiveFigures(
            sha256=log.archive_sha256,
            articles=len(summary.lines),
            first=f"{summary.first:%Y-%m-%d}",
            last=f"{summary.last:%Y-%m-%d}",
            months=months,
            targets=len(targets),
            active_targets=len(runs.active),
            active_adverse=search.limits.adverse,
            quiet_targets=len(runs.quiet),
            quiet_adverse=search.limits.adverse_quiet,
            watchlist=bool(watchlist.entities),
        ),
        detectors=DetectorSettings.of(settings),
        quiet=search.quiet,
        active=search.active,
    )
    return CalibrationRun(calibration, search)
