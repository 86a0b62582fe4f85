"""The calibration file: how often spikes and slides of one bundle notify, by threshold. Figures only, and no text.

A file holds curves and not only thresholds. So a budget can be changed without a new calibration.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from riskwire.errors import SettingsError
from riskwire.settings import AlertingSettings
from riskwire.settings.yaml_file import read_yaml

_SHIPPED = Path(__file__).with_name("shipped.json")
_MAX_BYTES = 1_000_000


class _Part(BaseModel):
    """A part of the file. Unknown fields are refused, because a misspelt one would be ignored in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CurvePoint(_Part):
    """How often a detector notified at one threshold.

    Attributes:
        threshold: the surprise from which it notified.
        rate: notifications per target and month.
    """

    threshold: float = Field(ge=0, le=99)
    rate: float = Field(gt=0)


class Curve(_Part):
    """Notifications per target and month by threshold: the higher the threshold, the fewer."""

    points: tuple[CurvePoint, ...] = Field(min_length=1, max_length=200)

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        """Returns the curve if thresholds rise and rates fall, else raises a ValueError."""
        for lower, upper in pairwise(self.points):
            if upper.threshold <= lower.threshold or upper.rate >= lower.rate:
                raise ValueError("thresholds must rise and rates must fall from point to point")
        return self

    def threshold(self, budget: float) -> float:
        """Returns the threshold of a budget, in notifications per target and month.

        Between two points, the logarithm of the rate is interpolated. Beyond the last one, a tenth of the rate needs a
        threshold that is 1 higher, because a surprise is -log10 of a chance. The result is never negative.
        """
        first, last = self.points[0], self.points[-1]
        if budget >= first.rate:
            return max(0.0, first.threshold - math.log10(budget / first.rate))
        if budget <= last.rate:
            return last.threshold + math.log10(last.rate / budget)
        lower, upper = next((lower, upper) for lower, upper in pairwise(self.points) if upper.rate <= budget)
        part = math.log(lower.rate / budget) / math.log(lower.rate / upper.rate)
        return lower.threshold + part * (upper.threshold - lower.threshold)


class ArchiveFigures(_Part):
    """The archive on which the rates were measured.

    Attributes:
        sha256: the hash of the file.
        first, last: the days of the first and the last article.
        months: months of 30 days between them.
        targets: the targets that were counted.
        active_targets: the most active targets, which have a third of the adverse stories.
        active_adverse: the adverse stories in the decayed past of a typical one of these.
        quiet_targets, quiet_adverse: the same of the next most active ones, which have the second third.
        watchlist: whether the targets are those of a watchlist; otherwise those with enough articles.
    """

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    articles: int = Field(ge=1)
    first: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    last: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    months: float = Field(gt=0)
    targets: int = Field(ge=1)
    active_targets: int = Field(ge=1)
    active_adverse: float = Field(gt=0)
    quiet_targets: int = Field(ge=0)
    quiet_adverse: float = Field(ge=0)
    watchlist: bool


class DetectorSettings(_Part):
    """The settings that decide how surprising news is. Thresholds hold only for the settings they were found with."""

    windows_s: tuple[int, ...]
    min_stories: int
    half_life_days: float
    calm_s: int
    negative_from: float

    @classmethod
    def of(cls, settings: AlertingSettings) -> Self:
        """Returns the part of the settings of alerting that thresholds depend on."""
        return cls(**{name: getattr(settings, name) for name in cls.model_fields})

    def differences(self, settings: AlertingSettings) -> Iterator[str]:
        """Yields a text for each setting that is not as it was: its name, its value now, and its value then."""
        for name, value in self:
            now = getattr(settings, name)
            if now != value:
                yield f"alerting.{name} is {now}, and was {value}"


class Curves(_Part):
    """Notifications per target and month of one group of targets, by threshold: fires and escalations.

    Attributes:
        spike: those of spikes, by the threshold of a notice (`RunCounts.spikes`).
        page: those of spikes of tier `page`, by its threshold.
        slide: those of slides, by their threshold.
    """

    spike: Curve
    page: Curve
    slide: Curve


class Calibration(_Part):
    """The contents of a calibration file.

    Attributes:
        bundle: name and version of the bundle that read the archive.
        quiet, active: the rates of the two groups of targets, by the thresholds of `ActivityLimits`.
    """

    format: Literal[1] = 1
    bundle: str = Field(min_length=3, pattern=r"^[^@]+@[^@]+$")
    archive: ArchiveFigures
    detectors: DetectorSettings
    quiet: Curves
    active: Curves

    def to_text(self) -> str:
        """Returns the file: JSON, two spaces deep, which is YAML too."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"


def read_calibration(path: Path) -> Calibration:
    """Returns the content of a calibration file.

    Raises:
        SettingsError: it is missing, or is no calibration; the message names the field that is wrong.
    """
    document = read_yaml(path, "the calibration", _MAX_BYTES)
    if not isinstance(document, dict):
        raise SettingsError("not a calibration", where=str(path), do=_DO)
    try:
        return Calibration.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SettingsError(f"not a calibration: {field}: {first['msg']}", where=str(path), do=_DO) from None


_DO = "Make one with `riskwire calibrate`"


@cache
def shipped_calibration() -> Calibration | None:
    """Returns the calibration that ships, which is bound to the bundle that ships; None if none does."""
    return read_calibration(_SHIPPED) if _SHIPPED.exists() else None
