"""What the back-test keeps of the signals on entities, in memory: for the matcher, the rivals and the reasons."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from riskwire.entities.names import words_of_name
from riskwire.records import PARTY_TARGET, Mark, Signal


class TargetReport(NamedTuple):
    """What one article says of one entity.

    Attributes:
        mention: the text that names it in the evidence.
        in_title: whether the title names it.
        material: the probability of a material level; without levels, that of a negative sentiment.
        adverse: the probability of an adverse level; without levels, that of a negative sentiment.
        events: its event types, the most probable first.
    """

    at: datetime
    target: str
    name: str
    article: str
    url: str
    title: str
    mention: str
    in_title: bool
    material: float
    adverse: float
    events: tuple[str, ...]
    relevance: float
    backfill: bool


def report_of(signal: Signal) -> TargetReport:
    """Returns what the back-test keeps of a signal."""
    evidence, level = signal.evidence, signal.level
    mention = evidence.text[evidence.start : evidence.end]
    negative = signal.sentiment.negative
    return TargetReport(
        signal.seen_at,
        signal.target,
        signal.name,
        signal.article,
        signal.url,
        signal.title,
        mention,
        mention in signal.title or bool(set(words_of_name(signal.name)[:1]) & set(words_of_name(signal.title))),
        negative if level is None else level.material,
        negative if level is None else level.adverse,
        tuple(event.label for event in signal.events or ()),
        signal.relevance,
        signal.backfill,
    )


def entity_reports(records: Iterable[Signal | Mark]) -> list[TargetReport]:
    """Returns what the articles say of entities, in order."""
    return [
        report_of(record) for record in records if isinstance(record, Signal) and record.target.startswith(PARTY_TARGET)
    ]
