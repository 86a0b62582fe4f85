"""The quality gate, which decides whether an exported precision may ship."""

from __future__ import annotations

import pytest

from riskwire_models.errors import GateError
from riskwire_models.export.gate import check_batch_differences, check_head_losses

FP32 = {"sentiment": 0.86, "entities": 0.70, "target_sentiment": 0.85, "topics": 0.88, "level": 0.8, "events": 0.6}


def test_a_loss_of_exactly_the_limit_passes() -> None:
    losses = check_head_losses(FP32, {"int8": {**FP32, "sentiment": 0.85, "entities": 0.71}})
    assert {loss.head: round(loss.points, 6) for loss in losses if loss.points} == {"sentiment": 1.0, "entities": -1.0}


def test_a_larger_loss_is_refused_with_head_score_and_limit() -> None:
    with pytest.raises(GateError) as error:
        check_head_losses(FP32, {"int8": {**FP32, "sentiment": 0.8489}, "fp16": FP32})
    message = str(error.value)
    assert "int8 sentiment: 0.8489 is 1.11 points below fp32 (0.8600), the limit is 1.00" in message
    assert "fp16" not in message


def test_the_error_names_every_head_beyond_the_limit() -> None:
    with pytest.raises(GateError, match=r"int8 sentiment.*; int8 entities"):
        check_head_losses(FP32, {"int8": {**FP32, "sentiment": 0.5, "entities": 0.5}})


def test_a_precision_that_was_not_measured_does_not_ship() -> None:
    with pytest.raises(GateError, match="int8: entities was not measured"):
        check_head_losses(FP32, {"int8": {head: score for head, score in FP32.items() if head != "entities"}})
    without_topics = {head: score for head, score in FP32.items() if head != "topics"}
    with pytest.raises(GateError, match="int8: topics was not measured"):
        check_head_losses(without_topics, {"int8": without_topics})
    with pytest.raises(GateError, match="no sentence was compared"):
        check_batch_differences("int8", 0, 0)


def test_a_single_sentence_that_depends_on_its_batch_is_refused() -> None:
    check_batch_differences("int8", 0, 500)
    with pytest.raises(GateError, match="1 of 500"):
        check_batch_differences("int8", 1, 500)
