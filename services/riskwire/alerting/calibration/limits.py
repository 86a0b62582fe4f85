"""Which thresholds hold for the signals of a bundle."""

from __future__ import annotations

import math
from dataclasses import dataclass

from riskwire.alerting.calibration.calibration_file import Calibration, Curves, read_calibration, shipped_calibration
from riskwire.alerting.detectors.cusum import slide_threshold
from riskwire.alerting.detectors.rate_detector import threshold
from riskwire.alerting.episode import Thresholds
from riskwire.errors import SettingsError
from riskwire.settings import AlertingSettings


@dataclass(frozen=True, slots=True)
class SurpriseLimits:
    """The surprise from which spikes and slides notify.

    Attributes:
        calibrated: whether they were measured on an archive.
    """

    spike: Thresholds
    slide: float
    calibrated: bool = False


@dataclass(frozen=True, slots=True)
class ActivityLimits:
    """Thresholds that grow with how much bad news is usual for a target.

    Each adverse story is a look, so at one threshold a name that is always in the news notifies many times as often as
    a quiet one: eight times the budget among the 40 largest of a wire. Between a quieter and an active target the
    threshold is linear in the logarithm of 1 + the adverse stories of the decayed past, since the number of looks is
    proportional to them and a surprise is -log10 of a chance.

    Attributes:
        quiet: for a target with `adverse_quiet` adverse stories in its past, or fewer.
        active: for one with `adverse` adverse stories in its past.
    """

    quiet: SurpriseLimits
    active: SurpriseLimits
    adverse: float
    adverse_quiet: float = 0.0

    def at(self, adverse: float) -> SurpriseLimits:
        """Returns the thresholds for a target with so many adverse stories in its decayed past."""
        if self.quiet == self.active:
            return self.quiet
        low, high = math.log1p(self.adverse_quiet), math.log1p(self.adverse)
        part = max(0.0, (math.log1p(adverse) - low) / (high - low)) if high > low else 0.0
        quiet, active = self.quiet, self.active
        notice = max(0.0, _between(quiet.spike.notice, active.spike.notice, part))
        page = max(notice, _between(quiet.spike.page, active.spike.page, part))
        slide = max(0.1, _between(quiet.slide, active.slide, part))
        return SurpriseLimits(Thresholds(notice, page), slide, quiet.calibrated)


def _between(quiet: float, active: float, part: float) -> float:
    return quiet + part * (active - quiet)


class LimitTable:
    """The thresholds by bundle: calibrated ones for the bundle of the calibration, theoretical ones for any other.

    The bundle is that of the signals. So a log of signals gives the same alerts, whichever bundle is configured where
    they are read.
    """

    def __init__(self, settings: AlertingSettings, calibration: Calibration | None = None) -> None:
        self.bundle = "" if calibration is None else calibration.bundle
        """Name and version of the calibrated bundle; empty without a calibration."""
        theoretical = theoretical_limits(settings)
        self._theoretical = ActivityLimits(theoretical, theoretical, 1.0)
        self._calibrated = self._theoretical if calibration is None else calibrated_limits(settings, calibration)

    @classmethod
    def fixed(cls, limits: SurpriseLimits | ActivityLimits) -> LimitTable:
        """Returns a table with the same thresholds for every bundle."""
        table = cls.__new__(cls)
        table.bundle = ""
        if isinstance(limits, SurpriseLimits):
            limits = ActivityLimits(limits, limits, 1.0)
        table._theoretical = table._calibrated = limits
        return table

    @classmethod
    def from_settings(cls, settings: AlertingSettings) -> LimitTable:
        """Returns the thresholds of the file that the settings name; without one, those of the calibration that ships.

        The shipped calibration is not used if the settings of the detectors are not the default ones.

        Raises:
            SettingsError: the named file cannot be used.
        """
        if settings.calibration is None:
            shipped = shipped_calibration()
            usable = shipped is not None and not any(shipped.detectors.differences(settings))
            return cls(settings, shipped if usable else None)
        calibration = read_calibration(settings.calibration)
        for difference in calibration.detectors.differences(settings):
            raise SettingsError(
                f"the calibration was made with other settings: {difference}",
                where=str(settings.calibration),
                do="Run `riskwire calibrate` with these settings, or set alerting.calibration to another file",
            )
        return cls(settings, calibration)

    def of(self, bundle: str, adverse: float = 0.0) -> SurpriseLimits:
        """Returns the thresholds for signals of a bundle, on a target with so many adverse stories in its past."""
        return (self._calibrated if bundle == self.bundle else self._theoretical).at(adverse)


def theoretical_limits(settings: AlertingSettings) -> SurpriseLimits:
    """Returns the thresholds that follow from the budget if every look is independent, as the detectors explain."""
    budget, windows_s = settings.budget, settings.windows_s
    return SurpriseLimits(
        Thresholds(threshold(budget.notice, windows_s), threshold(budget.page, windows_s)),
        slide_threshold(budget.slide),
    )


def calibrated_limits(settings: AlertingSettings, calibration: Calibration) -> ActivityLimits:
    """Returns the thresholds at which the archive of a calibration gave as many notifications as the budget allows."""
    budget = settings.budget

    def limits(curves: Curves) -> SurpriseLimits:
        notice = curves.spike.threshold(budget.notice)
        page = curves.page.threshold(budget.page)
        return SurpriseLimits(
            Thresholds(notice, max(notice, page)), curves.slide.threshold(budget.slide), calibrated=True
        )

    archive = calibration.archive
    return ActivityLimits(
        limits(calibration.quiet), limits(calibration.active), archive.active_adverse, archive.quiet_adverse
    )
