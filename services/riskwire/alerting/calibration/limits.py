"""Which thresholds hold for the signals of a bundle."""

from __future__ import annotations

from dataclasses import dataclass

from riskwire.alerting.calibration.calibration_file import Calibration, read_calibration, shipped_calibration
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


class LimitTable:
    """The thresholds by bundle: calibrated ones for the bundle of the calibration, theoretical ones for any other.

    The bundle is that of the signals. So a log of signals gives the same alerts, whichever bundle is configured where
    they are read.
    """

    def __init__(self, settings: AlertingSettings, calibration: Calibration | None = None) -> None:
        self.bundle = "" if calibration is None else calibration.bundle
        """Name and version of the calibrated bundle; empty without a calibration."""
        self.theoretical = theoretical_limits(settings)
        self._calibrated = self.theoretical if calibration is None else calibrated_limits(settings, calibration)

    @classmethod
    def fixed(cls, limits: SurpriseLimits) -> LimitTable:
        """Returns a table with the same thresholds for every bundle."""
        table = cls.__new__(cls)
        table.bundle = ""
        table.theoretical = table._calibrated = limits
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

    def of(self, bundle: str) -> SurpriseLimits:
        """Returns the thresholds for signals of a bundle."""
        return self._calibrated if bundle == self.bundle else self.theoretical


def theoretical_limits(settings: AlertingSettings) -> SurpriseLimits:
    """Returns the thresholds that follow from the budget if every look is independent, as the detectors explain."""
    budget, windows_s = settings.budget, settings.windows_s
    return SurpriseLimits(
        Thresholds(threshold(budget.notice, windows_s), threshold(budget.page, windows_s)),
        slide_threshold(budget.slide),
    )


def calibrated_limits(settings: AlertingSettings, calibration: Calibration) -> SurpriseLimits:
    """Returns the thresholds at which the archive of a calibration gave as many notifications as the budget allows."""
    budget = settings.budget
    notice = calibration.spike.threshold(budget.notice)
    page = calibration.page.threshold(budget.page)
    slide = calibration.slide.threshold(budget.slide)
    return SurpriseLimits(Thresholds(notice, max(notice, page)), slide, calibrated=True)
