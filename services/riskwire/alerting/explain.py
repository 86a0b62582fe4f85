"""Explanations of alerts, in words that a risk officer can check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from riskwire.alerting.detectors.rate_detector import WindowVerdict, max_count_below
from riskwire.records import AlertDriver, AlertEvidence


def duration(seconds: int) -> str:
    """Returns a length of time in words, in the largest unit of which it is a multiple.

    >>> duration(21_600), duration(86_400), duration(900)
    ('6 hours', '1 day', '15 minutes')
    """
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{seconds} seconds"


def negative_stories(count: int) -> str:
    """Returns a number of negative stories in words."""
    return "1 negative story" if count == 1 else f"{count} negative stories"


def driven_by(drivers: Sequence[AlertDriver]) -> str:
    """Returns a sentence, after a space, that names the members that drive an alert; empty without one."""
    named = [f"{driver.name} ({driver.stories}, {driver.share:.0%})" for driver in drivers[:3]]
    return f" Driven by {', '.join(named)}." if named else ""


def summary(
    name: str,
    verdict: WindowVerdict,
    sources: int,
    evidence: Iterable[AlertEvidence],
    drivers: Sequence[AlertDriver] = (),
    *,
    since_notified: bool,
) -> str:
    """Returns what happened, in one or two sentences for a person.

    Args:
        name: the name of the target.
        verdict: how surprising the window is for which the alert fires.
        sources: the number of sources of its negative stories.
        evidence: the most negative story first; the text quotes its title.
        drivers: the members of a group that drive it.
        since_notified: whether only stories since the last notification were counted.
    """
    count = f"{negative_stories(verdict.negative)} from {sources} {'source' if sources == 1 else 'sources'}"
    window = duration(verdict.window_s)
    when = f"since the last notification, within {window}" if since_notified else f"in {window}"
    text = f"{name}: {count} {when}; {verdict.expected:.2g} expected.{driven_by(drivers)}"
    first = next(iter(evidence), None)
    return f'{text} Most negative: "{first.title}" ({first.publisher or first.source}).' if first else text


def would_not_fire(verdict: WindowVerdict, limit: float, min_stories: int) -> str:
    """Returns in a sentence what it would have taken not to fire: fewer stories, or a past with more negative ones.

    Args:
        limit: the surprise from which an alert fires.
        min_stories: the least number of negative stories that can fire.
    """
    count = max(max_count_below(verdict.prediction, limit, verdict.negative - 1), min_stories - 1)
    usual = _usual(verdict, limit)
    text = f"It would not have fired with at most {negative_stories(count)} in {duration(verdict.window_s)}"
    if usual is not None:
        text += f"; nor had {usual:.2g} been usual, where {verdict.expected:.2g} is"
    return (
        text + f"; nor with a mean score of {verdict.baseline_score:+.2f} and no larger share of bad news than usual."
    )


def _usual(verdict: WindowVerdict, limit: float) -> float | None:
    """Returns the least expected number of stories for which the counted ones stay below `limit`, by bisection.

    Surprise is -log10 of the chance of at least that many stories. None if even an expected number equal to the count
    does not suffice, or if the count does not exceed what is expected.

    Args:
        limit: the surprise from which an alert fires.
    """
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


def resolved(name: str, calm_s: int, blind: bool, summary: str) -> str:
    """Returns why an episode (a running alert) ended, and what it was about.

    Args:
        summary: that of the last record before.
        calm_s: how long it has been calm.
        blind: whether the stream had too little news for the calm to mean anything.
    """
    if blind:
        end = f"{name}: nothing more for {duration(calm_s)}, but there was hardly any news to see: blind, not calm."
    else:
        end = f"{name}: no surprise for {duration(calm_s)}."
    return f"{end} It was: {summary.removeprefix(f'{name}: ')}"
