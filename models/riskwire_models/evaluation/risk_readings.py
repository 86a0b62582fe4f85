"""What a model says of mentions with risk labels, beside what is true.

Separate from the figures in `risk`, because the engine's readings need no library of the train extra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskwire_models.data.labels import ADVERSE_LEVELS, LEVELS

Floats = NDArray[np.float64]
_ADVERSE = [LEVELS.index(level) for level in ADVERSE_LEVELS]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RiskReadings:
    """What a model says of labelled mentions, and what is true.

    Attributes:
        levels: probabilities [mentions, levels], calibrated.
        truth: level index [mentions].
        events: probability of each event type [rows, types].
        true_events: whether it is true [rows, types].
    """

    levels: Floats
    truth: NDArray[np.int64]
    events: Floats
    true_events: NDArray[np.bool_]

    @property
    def adverse(self) -> Floats:
        """The probability that each mention is adverse."""
        total: Floats = self.levels[:, _ADVERSE].sum(axis=1)
        return total

    @property
    def true_adverse(self) -> NDArray[np.bool_]:
        """Whether each mention is adverse in truth."""
        return np.isin(self.truth, _ADVERSE)
