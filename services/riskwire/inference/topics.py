"""The topics of documents. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import chain

import numpy as np

from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.model.probabilities import rounded_rows
from riskwire.records import TopicScore

_MAX_SENTENCES = 3
"""Topics come from the title and the first sentences, because later sentences digress."""


def topics_of(
    predictions: Sequence[DocumentPrediction], labels: Sequence[str], threshold: float
) -> list[tuple[TopicScore, ...]]:
    """Returns for each document the topics whose probability is at least the threshold, the most probable first.

    The probability of a topic is its mean over the first `_MAX_SENTENCES` sentences, title included, equally
    weighted and rounded. Of equally probable topics, the label that is first in the alphabet comes first. A document
    without sentences or a model without topics gives no topics. All documents are computed in one array: document by
    document, this took a tenth of the time of an article.

    Args:
        predictions: documents, each with the probability of every label by sentence.
        labels: the topic labels, in the order of the probabilities.
    """
    topics: list[tuple[TopicScore, ...]] = [()] * len(predictions)
    shares = [
        [sentence.prediction.topics for sentence in document.sentences[:_MAX_SENTENCES] if sentence.prediction.topics]
        for document in predictions
    ]
    with_topics = [index for index, sentences in enumerate(shares) if sentences]
    if not with_topics or not labels:
        return topics
    cells = [(row, column) for row, index in enumerate(with_topics) for column in range(len(shares[index]))]
    by_sentence = np.zeros((len(with_topics), _MAX_SENTENCES, len(labels)))
    by_sentence[tuple(zip(*cells, strict=True))] = np.fromiter(
        chain.from_iterable(chain.from_iterable(shares)), np.float64
    ).reshape(-1, len(labels))
    # Adds the sentences in order, so that the sums are the same to the last bit wherever a batch ends.
    probabilities = rounded_rows(reduce(np.add, by_sentence.swapaxes(0, 1)))
    likely: dict[int, list[tuple[float, str]]] = {}
    for row, column in zip(*np.nonzero(probabilities >= threshold), strict=True):
        likely.setdefault(with_topics[row], []).append((-float(probabilities[row, column]), labels[column]))
    for index, scores in likely.items():
        topics[index] = tuple(TopicScore.unvalidated(label=label, score=-negated) for negated, label in sorted(scores))
    return topics
