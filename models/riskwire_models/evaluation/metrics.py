"""Metrics of a head, rounded to four digits: entities by seqeval, other heads by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support
from sklearn.metrics import accuracy_score, f1_score
from sklearn.metrics import precision_recall_fscore_support as label_scores


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


def multi_label_scores(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> dict[str, float]:
    """Returns micro precision, recall and F1, macro F1 over labels that occur, and ``n`` true labels.

    Args:
        truth: whether a label is true [rows, labels].
        predicted: whether it is predicted [rows, labels].
    """
    if not truth.any():
        return {"n": 0}
    precision, recall, f1, _ = label_scores(truth, predicted, average="micro", zero_division=0.0)
    occurring = truth.any(axis=0)
    macro = f1_score(truth[:, occurring], predicted[:, occurring], average="macro", zero_division=0.0)
    return {
        "n": int(truth.sum()),
        "precision": round(float(precision), 4),
        "recall": round(float(recall), 4),
        "f1": round(float(f1), 4),
        "macro_f1": round(float(macro), 4),
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
