"""What documents are about. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import chain

import numpy as np

from riskwire.inference.model.probabilities import all_rounded
from riskwire.inference.model.reading import Reading
from riskwire.records import TopicScore

_SENTENCES = 3
"""Topics are read from the title and the first sentences; what follows wanders off."""


def topics_of(readings: Sequence[Reading], labels: Sequence[str], threshold: float) -> list[tuple[TopicScore, ...]]:
    """The topics of each document whose share is `threshold` or more, the likeliest first: the mean over its title and
    first sentences, equally weighted. All at once: one by one that was a tenth of the time of an article."""
    found: list[tuple[TopicScore, ...]] = [()] * len(readings)
    shares = [[s.reading.topics for s in one.sentences[:_SENTENCES] if s.reading.topics] for one in readings]
    told = [at for at, several in enumerate(shares) if several]
    if not told or not labels:
        return found
    places = [(row, sentence) for row, at in enumerate(told) for sentence in range(len(shares[at]))]
    each = np.zeros((len(told), _SENTENCES, len(labels)))
    each[tuple(zip(*places, strict=True))] = np.fromiter(
        chain.from_iterable(chain.from_iterable(shares)), np.float64
    ).reshape(-1, len(labels))
    rounded = all_rounded(reduce(np.add, each.swapaxes(0, 1)))  # one sentence after another
    topics: dict[int, list[tuple[float, str]]] = {}
    for at, label in zip(*np.nonzero(rounded >= threshold), strict=True):
        topics.setdefault(told[at], []).append((-float(rounded[at, label]), labels[label]))
    for at, several in topics.items():
        found[at] = tuple(TopicScore.trusted(label=label, score=-share) for share, label in sorted(several))
    return found
