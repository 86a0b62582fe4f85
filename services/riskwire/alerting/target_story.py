"""A story as one target sees it, and the part of the state that holds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from sys import intern
from typing import Any

import orjson

from riskwire.records import AlertDriver, AlertEvidence, Record, Signal
from riskwire.stage import KeyedState
from riskwire.story import FingerprintIndex

MILLION = 1_000_000
MAX_SOURCES = 50
"""Sources kept of one story."""
MAX_DRIVERS = 5
"""Parties that an alert on a group names."""
_FORM = ("v", "kind")
"""Fields that say what form a record has."""


@dataclass(slots=True, eq=False)
class TargetStory:
    """A story as one target sees it; the balance in millionths, times in ms.

    On a busy day, half a million stories are in memory. So ids and sources are tuples, which take a quarter of the
    memory of sets, and their texts are shared by all stories (`sys.intern`).

    Attributes:
        fingerprint: the fingerprint of its first article.
        first_ms: when it was first seen.
        negative_ms: when it turned negative for the target; None while it has not.
        balance: positive minus negative of the article that decided. Sums of integers do not depend on the order of
            stories.
        articles: ids of its articles.
        sources: the keys of its sources (`Signal.source_key`).
        shown: what an alert shows of it, as JSON; kept of the most negative stories only, else empty.
        miss: the last reason for which it did not notify (`NearMiss.reason`), or empty.
        joined: whether an event alert reported it or counts it.
        from_history: whether it comes from the target's history. Such a story is remembered, so that a reprint is no
            news; it is not counted, and the baseline has learned it already.
        part: the part of the state that holds it.
    """

    fingerprint: str
    first_ms: int
    negative_ms: int | None
    balance: int
    articles: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    shown: bytes = b""
    from_history: bool = False
    miss: str = ""
    joined: bool = False
    part: StoryPart = field(init=False, repr=False)
    evidence_source: str = ""
    """The key of the source of its evidence; empty without. Counting sources reads it thousands of times a second."""
    badness: float = 0.0
    """How adverse it is by its evidence; 0 without."""

    def show(self, evidence: AlertEvidence | None) -> None:
        """Sets what an alert shows of it. As JSON this takes a third of what the record does, and few are ever read."""
        # The copy is as long as the JSON. What orjson returns occupies 8 kB or more (home-assistant/core#181245).
        self.shown = b"" if evidence is None else bytes(memoryview(evidence.to_bytes()))
        self.evidence_source = "" if evidence is None else intern(evidence.source_key)
        self.badness = 0.0 if evidence is None else badness(evidence)

    @property
    def evidence(self) -> AlertEvidence | None:
        """What an alert shows of it; None where that is not kept."""
        return AlertEvidence.model_validate_json(self.shown) if self.shown else None

    @property
    def at_ms(self) -> int:
        """The time from which it counts."""
        return self.first_ms if self.negative_ms is None else self.negative_ms

    def encoded(self) -> list[Any]:
        """Returns the story as a list for orjson; equal stories give equal JSON, from which `decoded` restores it."""
        return [
            self.fingerprint,
            self.first_ms,
            self.negative_ms,
            [max(-self.balance, 0), 0, max(self.balance, 0)],  # the form is older: negative, neutral and positive
            sorted(self.articles),
            sorted(self.sources),
            orjson.Fragment(self.shown) if self.shown else None,
            self.from_history,
            self.miss,
            self.joined,
        ]

    @classmethod
    def decoded(cls, values: list[Any]) -> TargetStory:
        """Returns the story from the JSON values of `encoded`; the caller sets its `part`."""
        fingerprint, first_ms, negative_ms, weights, articles, sources, evidence, from_history, miss, joined = values
        story = cls(
            fingerprint=fingerprint,
            first_ms=first_ms,
            negative_ms=negative_ms,
            balance=weights[2] - weights[0],
            articles=tuple(map(intern, articles)),
            sources=tuple(map(intern, sources)),
            from_history=from_history,
            miss=miss,
            joined=joined,
        )
        if evidence is not None:
            story.show(AlertEvidence.model_validate(evidence))
        return story


@dataclass(slots=True, eq=False)
class StoryPart:
    """Stories of one slot of a target that form one value of the state.

    A slot is cut into parts so that no value grows with the number of stories, and so that a step writes only the parts
    whose stories changed. In which part a story lies has no effect on trends and alerts.
    """

    target: str
    slot_ms: int
    number: int
    stories: list[TargetStory]
    key: str = ""
    """The key of the state."""

    def __post_init__(self) -> None:
        self.key = f"{self.slot_ms}.{self.number}/{self.target}"

    def encoded(self) -> bytes:
        """Returns the part as bytes of the state."""
        return orjson.dumps([self.target, self.slot_ms, self.number, [story.encoded() for story in self.stories]])

    @classmethod
    def decoded(cls, raw: bytes) -> StoryPart:
        """Returns the part from the bytes of `encoded`, with its stories, each of which refers to the part."""
        target, slot_ms, number, stories = orjson.loads(raw)
        part = cls(target, slot_ms, number, [TargetStory.decoded(story) for story in stories])
        for story in part.stories:
            story.part = part
        return part


class StoredParts(KeyedState[StoryPart]):
    """The stories of all targets, as the state of the stage holds them.

    Attributes:
        fingerprints: those of the stories, for all targets together.
    """

    def __init__(self, state: Mapping[str, bytes]) -> None:
        """Restores the parts from the committed state. The windows of the targets add the fingerprints."""
        super().__init__("stories/", state, encode=StoryPart.encoded, decode=StoryPart.decoded)
        self.fingerprints = FingerprintIndex()


def balance_of(signal: Signal) -> int:
    """Returns the positive minus the negative weight of a signal, in millionths."""
    return round(signal.sentiment.positive * MILLION) - round(signal.sentiment.negative * MILLION)


def evidence_of(signal: Signal, novelty: float | None = None) -> AlertEvidence:
    """Returns the evidence of a signal as alerts show it: the article, the sentence with the mention, and its level.

    Args:
        novelty: how new for the target what it tells was, 0 to 1; None where that was not decided.
    """
    evidence = signal.evidence
    return AlertEvidence.unvalidated(
        **shared_fields(signal, AlertEvidence),
        text=evidence.text,
        start=evidence.start,
        end=evidence.end,
        negative=signal.sentiment.negative,
        novelty=novelty,
    )


def shared_fields(signal: Signal, record: type[Record]) -> dict[str, Any]:
    """Returns the values of a signal for the fields that a kind of record has under the same name."""
    values = signal.__dict__
    return {name: values[name] for name in _shared_names(record)}


@cache
def _shared_names(record: type[Record]) -> tuple[str, ...]:
    return tuple([name for name in record.model_fields if name in Signal.model_fields and name not in _FORM])


def badness(evidence: AlertEvidence) -> float:
    """Returns how adverse a story is: the probability of an adverse level, without levels that of negative."""
    return evidence.negative if evidence.adverse is None else evidence.adverse


def drivers_of(evidence: Iterable[AlertEvidence]) -> tuple[AlertDriver, ...]:
    """Returns the parties that most stories of a group, a topic or the market are about, at most `MAX_DRIVERS`.

    The share is that of all these stories. The evidence of an entity gives none.
    """
    members = [(story.member, story.member_name) for story in evidence if story.member]
    counts = sorted(Counter(members).items(), key=lambda entry: (-entry[1], entry[0]))
    return tuple(
        [
            AlertDriver(target=target, name=name, stories=stories, share=round(stories / len(members), 4))
            for (target, name), stories in counts[:MAX_DRIVERS]
        ]
    )
