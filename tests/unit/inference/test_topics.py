"""Topics of many documents at once are those of each by itself, and rounding many rows is rounding each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from math import fsum
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.inference.model import probabilities
from riskwire.inference.model.prediction import DocumentPrediction, PredictedSentence, SentencePrediction
from riskwire.inference.model.probabilities import mean, rounded, rounded_rows
from riskwire.inference.model.sentences import SentenceSpan, TextDocument
from riskwire.inference.topics import topics_of

LABELS = tuple("abcdefg")
share = st.one_of(st.sampled_from([0.0, 0.0001, 0.25, 1.0]), st.floats(0.0, 1.0))
row = st.lists(share, min_size=len(LABELS), max_size=len(LABELS)).filter(lambda shares: sum(shares) > 0.0)


def reading(sentences: Sequence[Sequence[float]]) -> DocumentPrediction:
    """A document whose sentences say this of each topic; one of no shares says nothing."""
    return DocumentPrediction(
        TextDocument("x"),
        tuple(
            PredictedSentence(
                SentenceSpan(0, 1),
                SentencePrediction((0.0, 1.0, 0.0), tuple(one), (), np.zeros((0, 2), np.int32), None),
            )
            for one in sentences
        ),
    )


@given(st.lists(row, min_size=1, max_size=20))
def test_many_rows_are_rounded_as_each_is_to_the_bit(rows: list[list[float]]) -> None:
    assert rounded_rows(np.array(rows)).tolist() == [list(rounded(one)) for one in rows]


def test_distributions_are_the_same_on_a_python_whose_sum_is_compensated(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 3.12 on `sum` of floats is as exact as `fsum` in cases like these, and would round them otherwise."""
    shares, parts = [0.2, 0.05, 0.05], [(0.3, (0.1, 0.35, 0.1)), (0.7, (0.1, 0.1, 0.1))]

    def compensated(values: Iterable[float]) -> float:
        several = [*values]
        return fsum(several) if any(isinstance(one, float) for one in several) else sum(several)

    monkeypatch.setattr(probabilities, "sum", compensated, raising=False)
    assert rounded(shares) == (0.6667, 0.1667, 0.1666)
    assert [list(rounded(shares))] == rounded_rows(np.array([shares])).tolist()
    assert mean(parts) == (0.2667, 0.4667, 0.2666)


@pytest.mark.parametrize("bad", [0.0, float("inf"), float("nan")])
def test_what_is_no_distribution_is_refused_among_others(bad: float) -> None:
    with pytest.raises(ValueError, match="not distributions"):
        rounded_rows(np.array([[0.5, 0.5], [bad, 0.0]]))


@given(st.lists(st.lists(st.one_of(row, st.just([])), max_size=5), max_size=6), st.sampled_from([0.0, 0.2, 0.5]))
def test_topics_come_from_the_first_three_sentences_the_likeliest_first(
    documents: list[list[list[float]]], threshold: float
) -> None:
    expected = []
    for sentences in documents:
        first = [one for one in sentences[:3] if one]
        shares = rounded([reduce(add, column) for column in zip(*first, strict=True)]) if first else ()
        told = [(label, value) for label, value in zip(LABELS, shares, strict=False) if value >= threshold]
        expected.append(sorted(told, key=lambda one: (-one[1], one[0])))
    found = topics_of([reading(one) for one in documents], LABELS, threshold)
    assert [[(one.label, one.score) for one in several] for several in found] == expected


def test_a_bundle_without_topics_finds_none() -> None:
    assert topics_of([reading([]), reading([[]])], (), 0.5) == [(), ()]
