"""Temperature scaling (Guo, Pleiss, Sun, Weinberger 2017, On Calibration of Modern Neural Networks)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_GOLDEN = (math.sqrt(5) - 1) / 2
LEAST, GREATEST = 0.25, 8.0


def negative_log_likelihood(logits: NDArray[np.float64], truth: NDArray[np.int64], temperature: float) -> float:
    """Mean over rows of -log softmax(logits / temperature)[truth]; logits [rows, labels], truth [rows]."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(scaled).sum(axis=1))
    return float((log_sum - scaled[np.arange(len(truth)), truth]).mean())


def fit_temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The temperature with the least negative log-likelihood, between 0.25 and 8, by golden section on its logarithm.

    1.0 when there are no rows. The likelihood has one minimum along the inverse temperature.
    """
    if len(truth) == 0:
        return 1.0
    low, high = math.log(LEAST), math.log(GREATEST)
    while high - low > 1e-4:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if negative_log_likelihood(logits, truth, math.exp(left)) < negative_log_likelihood(
            logits, truth, math.exp(right)
        ):
            high = right
        else:
            low = left
    return round(math.exp((low + high) / 2), 3)


def expected_calibration_error(
    logits: NDArray[np.float64], truth: NDArray[np.int64], temperature: float, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over equally wide bins of confidence, weighted by rows."""
    if len(truth) == 0:
        return 0.0
    scaled = np.exp(logits / temperature - (logits / temperature).max(axis=1, keepdims=True))
    chances = scaled / scaled.sum(axis=1, keepdims=True)
    confidence, right = chances.max(axis=1), chances.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(
        sum(
            (place == number).mean() * abs(right[place == number].mean() - confidence[place == number].mean())
            for number in range(bins)
            if (place == number).any()
        )
    )
