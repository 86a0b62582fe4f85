"""Which signals count as adverse for the rate detectors."""

from __future__ import annotations

from riskwire.records import ADVERSE_FROM, Signal


def is_adverse(signal: Signal, negative_from: float) -> bool:
    """Returns whether a signal counts as adverse for its target.

    With a level, its probability of mild or material decides, against the threshold of the bundle. Price talk is then
    not adverse, however negative it sounds. Bundles without levels leave the sentiment.

    Args:
        negative_from: the probability of negative sentiment from which a signal without a level is adverse.
    """
    if signal.adverse is None:
        return signal.sentiment.negative >= negative_from
    return signal.adverse >= (ADVERSE_FROM if signal.adverse_from is None else signal.adverse_from)
