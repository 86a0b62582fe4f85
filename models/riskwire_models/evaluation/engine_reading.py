"""What the engine of the services says of labelled texts: with the spans given, and end to end.

End to end the engine finds the names itself. A labelled party that it does not find counts as missed: its level is
neutral, and it has no events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.score import score
from riskwire.records import EventScore, Level, ScoreMention, ScoreRequest, ScoreResult, ScoreTarget, TargetSpan
from riskwire.settings import InferenceSettings
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import EVENT_TYPES, LEVELS, LabelledTarget
from riskwire_models.evaluation.risk_readings import RiskReadings

_NEUTRAL = [1.0 if level == "neutral" else 0.0 for level in LEVELS]


@dataclass(frozen=True, slots=True)
class EngineReadings:
    """What the engine says of labelled texts.

    Attributes:
        given: with the spans of the labels given.
        end_to_end: with names that the engine finds.
        found: share of the labelled parties that it finds.
    """

    given: RiskReadings
    end_to_end: RiskReadings
    found: float


def read_with_engine(
    bundle: Path, texts: Sequence[tuple[str, Sequence[tuple[int, int]]]], threads: int
) -> list[ScoreResult]:
    """Returns what the engine says of texts, and of the spans (start, end) in each."""
    return asyncio.run(_read(bundle, texts, threads))


async def _read(
    bundle: Path, texts: Sequence[tuple[str, Sequence[tuple[int, int]]]], threads: int
) -> list[ScoreResult]:
    requests = [
        ScoreRequest(id=str(number), text=text, targets=tuple(TargetSpan(start=start, end=end) for start, end in spans))
        for number, (text, spans) in enumerate(texts)
    ]
    async with Engine(Bundle.load(bundle), InferenceSettings(threads=threads)) as engine:
        return await score(requests, engine, Linker())


def read_labelled(bundle: Path, examples: Sequence[Example], threads: int = 2) -> EngineReadings:
    """Returns the readings of all targets whose level is known."""
    chosen = [(example, [target for target in example.targets if target.level]) for example in examples]
    texts = [(example.text, [(target.start, target.end) for target in targets]) for example, targets in chosen]
    targets_read: list[ScoreTarget | None] = []
    mentions_found: list[ScoreMention | None] = []
    truth: list[LabelledTarget] = []
    for (_, targets), result in zip(chosen, read_with_engine(bundle, texts, threads), strict=True):
        truth.extend(targets)
        targets_read.extend(result.targets)
        mentions_found.extend(mention_of(target, result.mentions) for target in targets)
    share = sum(mention is not None for mention in mentions_found) / max(1, len(mentions_found))
    return EngineReadings(_readings(truth, targets_read), _readings(truth, mentions_found), share)


def mention_of(target: LabelledTarget, mentions: Sequence[ScoreMention]) -> ScoreMention | None:
    """Returns the mention that shares most characters with a target, or None if none shares any."""

    def shared(mention: ScoreMention) -> int:
        return min(mention.end, target.end) - max(mention.start, target.start)

    best = max(mentions, key=shared, default=None)
    return best if best is not None and shared(best) > 0 else None


def _readings(truth: Sequence[LabelledTarget], said: Sequence[ScoreTarget | ScoreMention | None]) -> RiskReadings:
    """Returns what was said of the targets as arrays. An event that was not named has the probability 0."""
    levels = [_NEUTRAL if reading is None else _level(reading.level) for reading in said]
    events = np.zeros((len(truth), len(EVENT_TYPES)))
    true_events = np.zeros((len(truth), len(EVENT_TYPES)), bool)
    for row, (target, reading) in enumerate(zip(truth, said, strict=True)):
        true_events[row, [EVENT_TYPES.index(event) for event in target.events or ()]] = True
        named: Sequence[EventScore] = () if reading is None else reading.events or ()
        for event in named:
            events[row, EVENT_TYPES.index(event.label)] = event.score
    known = np.array([LEVELS.index(target.level or "neutral") for target in truth], np.int64)
    return RiskReadings(np.array(levels, np.float64).reshape(len(truth), len(LEVELS)), known, events, true_events)


def _level(level: Level | None) -> list[float]:
    """Returns the distribution of a level in the order of `LEVELS`; that of neutral if the bundle has no such head."""
    return _NEUTRAL if level is None else [getattr(level, name) for name in LEVELS]
