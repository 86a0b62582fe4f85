"""Metrics compared with values computed by hand. The metrics of seqeval need the train extra."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from riskwire_models.evaluation.calibration import expected_calibration_error, fit_temperature, negative_log_likelihood

SEQEVAL_INSTALLED = find_spec("seqeval") is not None
if SEQEVAL_INSTALLED:
    from riskwire_models.evaluation.metrics import classification_scores, entity_scores
needs_seqeval = pytest.mark.skipif(
    not SEQEVAL_INSTALLED, reason='seqeval is not installed: pip install "riskwire[train]"'
)


@needs_seqeval
def test_accuracy_and_macro_f1() -> None:
    scores = classification_scores([0, 0, 1, 2], [0, 1, 1, 2])
    assert scores == {"n": 4, "accuracy": 0.75, "macro_f1": round((2 / 3 + 2 / 3 + 1) / 3, 4)}


@needs_seqeval
def test_an_empty_sample_has_no_scores_above_zero() -> None:
    assert classification_scores([], []) == {"n": 0}
    for empty in ([], [[]], [["O", "O"]]):
        assert entity_scores(empty, empty) == {"n": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0}


@needs_seqeval
def test_an_entity_counts_only_with_exact_span_and_type() -> None:
    truth = [["B-ORG", "I-ORG", "O", "B-LOC"], ["B-PER", "O"]]
    predicted = [["B-ORG", "O", "O", "B-LOC"], ["B-ORG", "O"]]
    assert entity_scores(truth, predicted) == {"n": 3, "precision": 0.3333, "recall": 0.3333, "f1": 0.3333}
    assert entity_scores(truth, truth)["f1"] == 1.0


@needs_seqeval
def test_an_entity_that_starts_with_an_i_tag_counts_as_in_conlleval() -> None:
    assert entity_scores([["B-LOC", "I-LOC"], ["O", "B-PER"]], [["I-LOC", "I-LOC"], ["I-ORG", "I-PER"]]) == {
        "n": 2,
        "precision": 0.6667,
        "recall": 1.0,
        "f1": 0.8,
    }


def scaled_sample(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits that are too large by the factor `temperature`, and labels drawn from the right probabilities."""
    random = np.random.default_rng(5)
    logits = random.normal(0, 2, (20_000, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (random.random((20_000, 1)) > probabilities.cumsum(1)).sum(1)
    return logits * temperature, truth.clip(0, 2)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_fitted_temperature_is_the_factor_of_the_logits(temperature: float) -> None:
    logits, truth = scaled_sample(temperature)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.05)


def test_calibration_improves_likelihood_and_error() -> None:
    logits, truth = scaled_sample(3.0)
    fitted = fit_temperature(logits, truth)
    assert negative_log_likelihood(logits, truth, fitted) < negative_log_likelihood(logits, truth, 1.0)
    assert expected_calibration_error(logits, truth, fitted) < 0.02 < expected_calibration_error(logits, truth, 1.0)


def test_without_rows_the_temperature_is_one() -> None:
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64)) == 1.0
