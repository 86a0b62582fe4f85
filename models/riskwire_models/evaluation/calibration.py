"""Temperature scaling and its measures.

Source: Guo, Pleiss, Sun, Weinberger (2017), On Calibration of Modern Neural Networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.25, 8.0


def softmax(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Returns the probabilities of exclusive labels [..., labels] from their logits, divided by the temperature."""
    scaled = logits / temperature
    exponents: NDArray[np.float64] = np.exp(scaled - scaled.max(axis=-1, keepdims=True, initial=-np.inf))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def sigmoid(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Returns the probabilities of independent labels from their logits, divided by the temperature."""
    chances: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-logits / temperature))
    return chances


def negative_log_likelihood(logits: NDArray[np.float64], truth: NDArray[np.int64], temperature: float) -> float:
    """Returns the mean over rows of -log softmax(logits / temperature)[truth]; logits [rows, labels], truth [rows]."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(scaled).sum(axis=1))
    return float((log_sum - scaled[np.arange(len(truth)), truth]).mean())


def binary_negative_log_likelihood(logits: NDArray[np.float64], truth: NDArray[np.bool_], temperature: float) -> float:
    """Returns the mean negative log-likelihood of independent labels: sigmoid(logits / temperature) against truth."""
    signed = np.where(truth, logits, -logits) / temperature
    return float(np.logaddexp(0.0, -signed).mean())


def fit_temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Returns the temperature between 0.25 and 8 with the least negative log-likelihood; 1.0 if there are no rows."""
    if len(truth) == 0:
        return 1.0
    return _least(lambda temperature: negative_log_likelihood(logits, truth, temperature))


def fit_binary_temperature(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Returns the temperature of independent labels, as `fit_temperature` does for exclusive ones."""
    if len(truth) == 0:
        return 1.0
    return _least(lambda temperature: binary_negative_log_likelihood(logits, truth, temperature))


def _least(loss_at: Callable[[float], float]) -> float:
    """Returns the temperature with the least loss, rounded to three digits.

    Golden-section search over the logarithm of the temperature. It finds the minimum, since the negative
    log-likelihood is convex in the inverse temperature.
    """
    low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
    while high - low > 1e-4:
        lower, upper = high - _GOLDEN_RATIO * (high - low), low + _GOLDEN_RATIO * (high - low)
        if loss_at(math.exp(lower)) < loss_at(math.exp(upper)):
            high = upper
        else:
            low = lower
    return round(math.exp((low + high) / 2), 3)


def expected_calibration_error(
    logits: NDArray[np.float64], truth: NDArray[np.int64], temperature: float, bins: int = 15
) -> float:
    """Returns the mean gap between confidence and accuracy, weighted by rows; 0.0 without rows.

    Rows are grouped by confidence into `bins` of equal width.

    Args:
        logits: one row per example, one column per label.
        truth: the index of the true label of each row.
        temperature: divides the logits.
    """
    if len(truth) == 0:
        return 0.0
    probabilities = softmax(logits, temperature)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bin_of_row = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(
        sum(
            (bin_of_row == number).mean()
            * abs(correct[bin_of_row == number].mean() - confidence[bin_of_row == number].mean())
            for number in range(bins)
            if (bin_of_row == number).any()
        )
    )
