"""Metrics of a head, rounded to four digits: entities by seqeval, other heads by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

from seqeval.metrics.sequence_labeling import precision_recall_fscore_support
from sklearn.metrics import accuracy_score, f1_score


def classification_scores(truth: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    """Returns ``n``, accuracy, and macro F1: the unweighted mean over labels that occur in truth or prediction.

    Returns only ``n`` (0) if there are no rows.
    """
    if not truth:
        return {"n": 0}
    return {
        "n": len(truth),
        "accuracy": round(float(accuracy_score(truth, predicted)), 4),
        "macro_f1": round(float(f1_score(truth, predicted, average="macro", zero_division=0)), 4),
    }


def entity_scores(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    """Returns micro precision, recall and F1 of whole entities in BIO sequences, and ``n`` true entities.

    Uses seqeval's default mode, which is that of conlleval: an I- tag after O or another type starts an entity.
    """
    if not truth:
        return {"n": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    precision, recall, f1, support = precision_recall_fscore_support(truth, predicted, average="micro", zero_division=0)
    return {
        "n": int(support),
        "precision": round(float(precision), 4),
        "recall": round(float(recall), 4),
        "f1": round(float(f1), 4),
    }
