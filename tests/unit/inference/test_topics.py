"""Topics of many documents together equal those of each alone, and rows are rounded as `rounded` rounds each."""

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


def prediction(sentences: Sequence[Sequence[float]]) -> DocumentPrediction:
    """Returns a document whose sentences have these topic probabilities; an empty list is a sentence without topics."""
    no_offsets = np.zeros((0, 2), np.int32)
    return DocumentPrediction(
        TextDocument("x"),
        tuple(
            PredictedSentence(
                SentenceSpan(0, 1), SentencePrediction((0.0, 1.0, 0.0), tuple(topics), (), no_offsets, None)
            )
            for topics in sentences
        ),
    )


@given(st.lists(row, min_size=1, max_size=20))
def test_rounded_rows_equal_each_row_rounded_to_the_bit(rows: list[list[float]]) -> None:
    assert rounded_rows(np.array(rows)).tolist() == [list(rounded(shares)) for shares in rows]


def test_distributions_are_equal_on_a_python_with_compensated_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.12 on, `sum` of floats is as exact as `fsum` in these cases, which would round differently.

    The test gives the module such a `sum`; results must be as before.
    """
    shares, parts = [0.2, 0.05, 0.05], [(0.3, (0.1, 0.35, 0.1)), (0.7, (0.1, 0.1, 0.1))]

    def compensated_sum(values: Iterable[float]) -> float:
        numbers = [*values]
        return fsum(numbers) if any(isinstance(number, float) for number in numbers) else sum(numbers)

    monkeypatch.setattr(probabilities, "sum", compensated_sum, raising=False)
    assert rounded(shares) == (0.6667, 0.1667, 0.1666)
    assert [list(rounded(shares))] == rounded_rows(np.array([shares])).tolist()
    assert mean(parts) == (0.2667, 0.4667, 0.2666)


@pytest.mark.parametrize("value", [0.0, float("inf"), float("nan")])
def test_a_row_that_is_not_a_distribution_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not distributions"):
        rounded_rows(np.array([[0.5, 0.5], [value, 0.0]]))


@given(st.lists(st.lists(st.one_of(row, st.just([])), max_size=5), max_size=6), st.sampled_from([0.0, 0.2, 0.5]))
def test_topics_come_from_the_first_three_sentences_with_the_most_probable_first(
    documents: list[list[list[float]]], threshold: float
) -> None:
    """Computes the topics of each document plainly: the mean over those of its first three sentences that have topics.

    Those with at least the threshold count, by falling probability, then by label.
    """
    expected = []
    for sentences in documents:
        with_topics = [shares for shares in sentences[:3] if shares]
        means = rounded([reduce(add, column) for column in zip(*with_topics, strict=True)]) if with_topics else ()
        likely = [(label, value) for label, value in zip(LABELS, means, strict=False) if value >= threshold]
        expected.append(sorted(likely, key=lambda topic: (-topic[1], topic[0])))
    topics = topics_of([prediction(sentences) for sentences in documents], LABELS, threshold)
    assert [[(topic.label, topic.score) for topic in document_topics] for document_topics in topics] == expected


def test_without_topic_labels_no_document_has_topics() -> None:
    assert topics_of([prediction([]), prediction([[]])], (), 0.5) == [(), ()]
