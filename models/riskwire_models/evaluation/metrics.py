"""Figures of a head, rounded to four digits: seqeval counts names, scikit-learn the rest."""

from __future__ import annotations

from collections.abc import Sequence

from seqeval.metrics.sequence_labeling import precision_recall_fscore_support
from sklearn.metrics import accuracy_score, f1_score


def classification(truth: Sequence[int], said: Sequence[int]) -> dict[str, float]:
    """``n``, accuracy, and the unweighted mean of the F1 of the labels that occur in truth or prediction.

    Just ``n`` when there is nothing to measure.
    """
    if not truth:
        return {"n": 0}
    return {
        "n": len(truth),
        "accuracy": round(float(accuracy_score(truth, said)), 4),
        "macro_f1": round(float(f1_score(truth, said, average="macro", zero_division=0)), 4),
    }


def entities(truth: Sequence[Sequence[str]], said: Sequence[Sequence[str]]) -> dict[str, float]:
    """Micro precision, recall and F1 of whole names in BIO sequences; ``n`` true names.

    seqeval's default mode, that of conlleval: an I- that follows O or another type opens a name.
    """
    if not truth:
        return {"n": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    precision, recall, f1, support = precision_recall_fscore_support(truth, said, average="micro", zero_division=0)
    return {
        "n": int(support),
        "precision": round(float(precision), 4),
        "recall": round(float(recall), 4),
        "f1": round(float(f1), 4),
    }
