"""Labels to train on, from what people said about alerts: false alarms and corrections."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from riskwire.records import EVENT_TYPES, Command, LevelLabel

_LEVELS: Final[dict[str, LevelLabel]] = {"not_adverse": "neutral", "wrong_party": "neutral", "not_material": "mild"}
"""The level that a reason says. `wrong_party`: the text says nothing about this party."""


def label_rows(decisions: Iterable[Command]) -> tuple[list[dict[str, Any]], int]:
    """Returns the labels that decisions state, in the form that `riskwire model train --from` reads.

    A row is a text with the labelled span of one party: `{"text", "targets": [{"start", "end", "level", "events"}]}`.
    Of several decisions about one span, the last one counts.

    Args:
        decisions: oldest first; other decisions than false alarms and corrections are skipped.

    Returns:
        the rows, and the number of false alarms and corrections that state no label, such as an old story.
    """
    spans: dict[tuple[str, int, int], dict[str, Any]] = {}
    without = 0
    for decision in decisions:
        if decision.kind not in ("false_alarm", "correct"):
            continue
        labels = _labels(decision)
        stories = decision.value.get("evidence") or ()
        if not labels or not stories:
            without += 1
            continue
        for story in stories:
            text, start, end = story["text"], story["start"], story["end"]
            if 0 <= start < end <= len(text):
                spans.pop((text, start, end), None)
                spans[text, start, end] = {"start": start, "end": end, **labels}
    return [{"text": text, "targets": [target]} for (text, _, _), target in spans.items()], without


def _labels(decision: Command) -> dict[str, Any]:
    """Returns the level and the event types that a decision states; empty if it states none.

    Where only the level was wrong, the event types that the alert reported are right: a row without them would say that
    nothing happened.
    """
    value = decision.value
    level = value.get("level") or _LEVELS.get(str(value.get("reason")))
    events = value.get("events") or ()
    if level is None and not events:
        return {}
    if not events and level in ("mild", "material"):
        events = value.get("alert_events") or ()
    labels: dict[str, Any] = {"events": [event for event in events if event in EVENT_TYPES]}
    return labels if level is None else {"level": level, **labels}
