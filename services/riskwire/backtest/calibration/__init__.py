"""Calibration on an archive: the alert stage runs on its signals repeatedly, with different thresholds."""

from riskwire.backtest.calibration.archive_runs import ArchiveRuns, counted_targets
from riskwire.backtest.calibration.calibrate import CalibrationRun, calibrate

__all__ = ["ArchiveRuns", "CalibrationRun", "calibrate", "counted_targets"]
