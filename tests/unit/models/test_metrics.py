"""Figures against hand-counted ones. Those that seqeval counts need the train extra."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from riskwire_models.training.calibration import expected_calibration_error, fit_temperature, negative_log_likelihood

WITH_SEQEVAL = find_spec("seqeval") is not None
if WITH_SEQEVAL:
    from riskwire_models.evaluation.metrics import classification, entities
needs_seqeval = pytest.mark.skipif(not WITH_SEQEVAL, reason='seqeval is not installed: pip install "riskwire[train]"')


@needs_seqeval
def test_accuracy_and_macro_f1() -> None:
    figures = classification([0, 0, 1, 2], [0, 1, 1, 2])
    assert figures == {"n": 4, "accuracy": 0.75, "macro_f1": round((2 / 3 + 2 / 3 + 1) / 3, 4)}


@needs_seqeval
def test_nothing_measured_is_no_success() -> None:
    assert classification([], []) == {"n": 0}
    for nothing in ([], [[]], [["O", "O"]]):
        assert entities(nothing, nothing) == {"n": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0}


@needs_seqeval
def test_an_entity_counts_only_whole_and_of_the_right_type() -> None:
    truth = [["B-ORG", "I-ORG", "O", "B-LOC"], ["B-PER", "O"]]
    said = [["B-ORG", "O", "O", "B-LOC"], ["B-ORG", "O"]]
    assert entities(truth, said) == {"n": 3, "precision": 0.3333, "recall": 0.3333, "f1": 0.3333}
    assert entities(truth, truth)["f1"] == 1.0


@needs_seqeval
def test_a_name_without_its_beginning_still_counts_as_conlleval_counts_it() -> None:
    assert entities([["B-LOC", "I-LOC"], ["O", "B-PER"]], [["I-LOC", "I-LOC"], ["I-ORG", "I-PER"]]) == {
        "n": 2,
        "precision": 0.6667,
        "recall": 1.0,
        "f1": 0.8,
    }


def sample(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    logits = random.normal(0, 2, (20_000, 3))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (random.random((20_000, 1)) > chances.cumsum(1)).sum(1)
    return logits * temperature, truth.clip(0, 2)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_blew_up_the_logits_is_found_again(temperature: float) -> None:
    logits, truth = sample(temperature)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.05)


def test_calibration_improves_likelihood_and_error() -> None:
    logits, truth = sample(3.0)
    fitted = fit_temperature(logits, truth)
    assert negative_log_likelihood(logits, truth, fitted) < negative_log_likelihood(logits, truth, 1.0)
    assert expected_calibration_error(logits, truth, fitted) < 0.02 < expected_calibration_error(logits, truth, 1.0)


def test_without_rows_the_temperature_is_one() -> None:
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64)) == 1.0
