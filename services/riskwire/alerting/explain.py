"""Why an alert fired, in words a risk officer can check."""

from __future__ import annotations

from collections.abc import Iterable

from riskwire.alerting.detector import Verdict, most_not_firing
from riskwire.records import AlertEvidence


def span(seconds: int) -> str:
    """A length of time in words.

    >>> span(21_600), span(86_400), span(900)
    ('6 hours', '1 day', '15 minutes')
    """
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{seconds} seconds"


def stories(count: int) -> str:
    """A number of negative stories in words."""
    return "1 negative story" if count == 1 else f"{count} negative stories"


def summary(name: str, verdict: Verdict, sources: int, evidence: Iterable[AlertEvidence], since: bool) -> str:
    """What happened, in one or two sentences."""
    told = f"{stories(verdict.negative)} from {sources} {'source' if sources == 1 else 'sources'}"
    when = f"since the last notification, within {span(verdict.window_s)}" if since else f"in {span(verdict.window_s)}"
    text = f"{name}: {told} {when}; {verdict.expected:.2g} expected."
    first = next(iter(evidence), None)
    return f'{text} Most negative: "{first.title}" ({first.source}).' if first else text


def would_not_fire(verdict: Verdict, limit: float, min_stories: int) -> str:
    """What it would have taken not to fire: fewer stories, or a past with more of them."""
    enough = most_not_firing(verdict.prediction, limit, verdict.negative - 1)
    enough = max(enough, min_stories - 1)
    usual = _usual(verdict, limit)
    text = f"It would not have fired with at most {stories(enough)} in {span(verdict.window_s)}"
    if usual is not None:
        text += f"; nor had {usual:.2g} been usual, where {verdict.expected:.2g} is"
    return (
        text + f"; nor with a mean score of {verdict.baseline_score:+.2f} and no larger share of bad news than usual."
    )


def _usual(verdict: Verdict, limit: float) -> float | None:
    """The smallest expectation at which this many would not have been surprising; None where none up to it is."""
    low, high = 1.0, verdict.negative / verdict.expected
    if high <= low or verdict.prediction.scaled(high).surprise(verdict.negative) >= limit:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        if verdict.prediction.scaled(middle).surprise(verdict.negative) < limit:
            high = middle
        else:
            low = middle
    return verdict.expected * high


def resolved(name: str, calm_s: int, blind: bool) -> str:
    """Why an episode is over."""
    if blind:
        return f"{name}: nothing more for {span(calm_s)}, but there was hardly any news to see: blind, not calm."
    return f"{name}: no surprise for {span(calm_s)}."
