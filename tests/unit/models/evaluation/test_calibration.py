"""Shifts of labels that a model says too often or too seldom."""

from __future__ import annotations

import numpy as np
import pytest
from small_models.libraries import missing_libraries, needs_metrics

from riskwire_models.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    softmax,
)

if not missing_libraries("seqeval", "sklearn"):
    from riskwire_models.evaluation.scores import fit_shift

pytestmark = needs_metrics

SHARES = np.array([0.5, 0.2, 0.2, 0.1])


def drawn(rows: int, bias: tuple[float, ...], seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits of a model whose labels are shifted by a bias, and true labels."""
    generator = np.random.default_rng(seed)
    logits = np.log(SHARES) + 1.5 * generator.standard_normal((rows, len(SHARES)))
    truth = (softmax(logits, 1.0).cumsum(1) > generator.random((rows, 1))).argmax(1)
    return logits + np.array(bias), truth.astype(np.int64)


def test_a_bias_of_the_labels_is_taken_back() -> None:
    """A temperature alone cannot do that. Seed 3."""
    logits, truth = drawn(4000, (-0.6, 0.0, 0.1, 0.5))
    shift = fit_shift(logits, truth)
    assert shift == pytest.approx((0.6, 0.0, -0.1, -0.5), abs=0.15)
    assert shift.sum() == pytest.approx(0.0, abs=1e-9)
    unshifted, shifted = fit_temperature(logits, truth), fit_temperature(logits + shift, truth)
    assert (
        negative_log_likelihood(logits + shift, truth, shifted)
        < negative_log_likelihood(logits, truth, unshifted) - 0.02
    )
    assert expected_calibration_error(logits + shift, truth, shifted) < 0.02


def test_the_shift_fits_logits_that_are_too_large() -> None:
    logits, truth = drawn(4000, (-0.6, 0.0, 0.1, 0.5))
    assert fit_shift(3.0 * logits, truth) == pytest.approx(3.0 * fit_shift(logits, truth), abs=0.1)


def test_labels_that_are_said_as_often_as_they_are_true_are_hardly_shifted() -> None:
    logits, truth = drawn(4000, (0.0, 0.0, 0.0, 0.0))
    assert np.abs(fit_shift(logits, truth)).max() < 0.1


def test_a_label_without_rows_is_shifted_by_a_finite_amount_and_few_rows_shift_nothing() -> None:
    logits, truth = drawn(400, (0.0, 0.0, 0.0, 0.0))
    known = truth != 3
    shift = fit_shift(logits[known], truth[known])
    assert -10 < shift[3] < 0
    assert fit_shift(logits[:99], truth[:99]).tolist() == fit_shift(logits[:0], truth[:0]).tolist() == [0.0] * 4
