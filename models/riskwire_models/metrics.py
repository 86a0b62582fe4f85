"""Accuracy, macro-F1 and entity F1, from lists; no torch, no sklearn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from riskwire_models.labels import spans_of_tags


@dataclass(frozen=True, slots=True)
class Classification:
    """Accuracy and the unweighted mean of the F1 of the labels that occur in truth or prediction."""

    n: int
    accuracy: float
    macro_f1: float

    def as_dict(self) -> dict[str, float]:
        return {"n": self.n, "accuracy": round(self.accuracy, 4), "macro_f1": round(self.macro_f1, 4)}


@dataclass(frozen=True, slots=True)
class Entities:
    """Micro precision, recall and F1 of whole entities, as conlleval and seqeval count; ``n`` true entities."""

    n: int
    precision: float
    recall: float
    f1: float

    def as_dict(self) -> dict[str, float]:
        return {
            "n": self.n,
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "f1": round(self.f1, 4),
        }


def _f1(hits: int, said: int, true: int) -> float:
    return 2 * hits / (said + true) if said + true else 0.0


def classification(truth: Sequence[int], said: Sequence[int]) -> Classification:
    """Of two equally long lists of label numbers; zeros when they are empty."""
    pairs = list(zip(truth, said, strict=True))
    if not pairs:
        return Classification(0, 0.0, 0.0)
    labels = sorted({label for pair in pairs for label in pair})
    scores = [
        _f1(
            sum(true == label == guess for true, guess in pairs),
            sum(guess == label for _, guess in pairs),
            sum(true == label for true, _ in pairs),
        )
        for label in labels
    ]
    return Classification(
        len(pairs), sum(true == guess for true, guess in pairs) / len(pairs), sum(scores) / len(scores)
    )


def entities(truth: Iterable[Sequence[str]], said: Iterable[Sequence[str]]) -> Entities:
    """Of two lists of BIO sequences."""
    hits = found = true = 0
    for true_tags, said_tags in zip(truth, said, strict=True):
        want, have = set(spans_of_tags(true_tags)), set(spans_of_tags(said_tags))
        hits += len(want & have)
        found += len(have)
        true += len(want)
    return Entities(true, hits / found if found else 0.0, hits / true if true else 0.0, _f1(hits, found, true))
