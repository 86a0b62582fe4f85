"""Calibration: thresholds of spikes and slides that are set by how often they notify on an archive.

- `calibration_file`: the file with the thresholds, and the default calibration.
- `limits`: which thresholds hold for a bundle.
- `search`: finds them by repeated runs of alerting.
- `rates`: how often a running system notifies, and whether the rate agrees with the calibration.
"""

from riskwire.alerting.calibration.calibration_file import (
    ArchiveFigures,
    Calibration,
    Curve,
    CurvePoint,
    Curves,
    DetectorSettings,
    read_calibration,
    shipped_calibration,
)
from riskwire.alerting.calibration.limits import ActivityLimits, LimitTable, SurpriseLimits, theoretical_limits
from riskwire.alerting.calibration.rates import (
    AchievedRate,
    DayRates,
    RateLog,
    achieved_rates,
    counts,
    expected_rates,
)
from riskwire.alerting.calibration.search import GroupMonths, RunCounts, SearchResult, find_limits

__all__ = [
    "AchievedRate",
    "ActivityLimits",
    "ArchiveFigures",
    "Calibration",
    "Curve",
    "CurvePoint",
    "Curves",
    "DayRates",
    "DetectorSettings",
    "GroupMonths",
    "LimitTable",
    "RateLog",
    "RunCounts",
    "SearchResult",
    "SurpriseLimits",
    "achieved_rates",
    "counts",
    "expected_rates",
    "find_limits",
    "read_calibration",
    "shipped_calibration",
    "theoretical_limits",
]
