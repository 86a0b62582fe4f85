"""Measures what must not change a verdict, and what must.

A verdict says whether a mention is adverse: `adverse` is at or above the threshold of the bundle. Typing errors,
capitals, the words of a wire, a link, or another company's name should not change it. Denial, or another role in the
sentence, should: a *pair* is two texts that differ in that.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from riskwire.records import ScoreMention, ScoreResult, ScoreTarget
from riskwire_models.data.augmentation import Augmentation, augmented, edited
from riskwire_models.data.examples import Example, json_lines
from riskwire_models.data.labels import ADVERSE_LEVELS, EVENT_TYPES, LEVELS
from riskwire_models.errors import TrainingDataError
from riskwire_models.evaluation.engine_reading import mention_of, read_with_engine

PAIRS = Path(__file__).with_name("pairs.jsonl")
#: Files of cases in a folder of cases, and the name whose verdict each text is about.
CASE_FILES = ("averted.jsonl", "credit_events.jsonl")
CASE_NAME = "Globex"

Scores = NDArray[np.float64]
Change = Callable[[Example], Example]


@dataclass(frozen=True, slots=True)
class ChangeEffect:
    """How verdicts react to one change of the texts.

    Attributes:
        change: name of the change.
        mentions: number of mentions in texts that the change applies to.
        flips: share of the mentions whose verdict changes, with the span given.
        mean_change: mean absolute change of `adverse`, with the span given.
        flips_end_to_end: share of the mentions whose verdict changes if the engine finds the names itself.
    """

    change: str
    mentions: int
    flips: float
    mean_change: float
    flips_end_to_end: float


class MinimalPair(BaseModel):
    """Two texts that differ in little: one is adverse to the target, the other is not.

    Attributes:
        level: level of the adverse text.
        events: event types of the adverse text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str = Field(min_length=1)
    adverse: str
    averted: str
    level: Literal["mild", "material"]
    events: tuple[str, ...] = Field(min_length=1, max_length=3)

    @field_validator("events")
    @classmethod
    def _check_events(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the events if all are known, else raises a ValueError."""
        if unknown := sorted(set(events) - set(EVENT_TYPES)):
            raise ValueError(f"unknown event types: {', '.join(unknown)}")
        return events

    @model_validator(mode="after")
    def _check_target(self) -> MinimalPair:
        """Returns the pair if each text names the target exactly once, else raises a ValueError."""
        for text in (self.adverse, self.averted):
            if text.count(self.target) != 1:
                raise ValueError(f"the text must name {self.target!r} exactly once: {text!r}")
        return self


@dataclass(frozen=True, slots=True)
class PairOutcome:
    """What a model says of a pair.

    Attributes:
        adverse: probability that the adverse text is adverse to the target.
        averted: probability that the averted text is.
        events: event types named in the adverse text.
    """

    pair: MinimalPair
    adverse: float
    averted: float
    events: tuple[str, ...]

    def passes(self, threshold: float) -> bool:
        """Returns whether the adverse text is called adverse, and the averted one is not."""
        return self.adverse >= threshold > self.averted

    @property
    def names_an_event(self) -> bool:
        """Whether at least one of the pair's event types is named."""
        return not set(self.events).isdisjoint(self.pair.events)


@dataclass(frozen=True, slots=True)
class FieldCase:
    """A text whose level toward `CASE_NAME` is known.

    Attributes:
        file: name of the file of cases.
        levels: the levels that are right.
    """

    file: str
    text: str
    levels: tuple[str, ...]

    @property
    def is_adverse(self) -> bool:
        """Whether the text is adverse."""
        return any(level in ADVERSE_LEVELS for level in self.levels)


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """What a model says of a case: the probability of adverse, and the most probable level."""

    case: FieldCase
    adverse: float
    level: str

    def passes(self, threshold: float) -> bool:
        """Returns whether the verdict is right."""
        return (self.adverse >= threshold) == self.case.is_adverse


def changes(names: Sequence[str], generator: random.Random) -> dict[str, Change]:
    """Returns the changes that should leave every verdict as it is, by name.

    Args:
        names: company names for the name swap.
        generator: draws the places of typing errors, the words of a wire, and the names.
    """
    certain = {
        "typing error": Augmentation(typo=1.0),
        "all capitals": Augmentation(upper_case=1.0),
        "title case": Augmentation(title_case=1.0),
        "words of a wire": Augmentation(wire=1.0),
        "another company's name": Augmentation(names=1.0),
        "possessive": Augmentation(possessive=1.0),
    }
    augmentations: dict[str, Change] = {
        name: partial(augmented, chances=chances, names=names, generator=generator) for name, chances in certain.items()
    }
    return augmentations | {"link at the end": partial(with_link, generator=generator)}


def with_link(example: Example, generator: random.Random) -> Example:
    """Returns the example with a short link at the end; unchanged if it already has a link."""
    if "http" in example.text:
        return example
    end = len(example.text)
    return edited(example, [(end, end, " https://t.co/" + "".join(generator.choices(string.ascii_letters, k=10)))])


def measure_robustness(
    bundle: Path, examples: Sequence[Example], names: Sequence[str], threshold: float, threads: int, seed: int = 17
) -> list[ChangeEffect]:
    """Returns how the verdicts of a bundle on labelled mentions react to each change.

    A text that a change leaves as it is does not count for it.

    Args:
        examples: texts; only mentions whose level is known count.
        names: company names for the name swap.
        threshold: the probability from which a mention is adverse.
    """
    known = [example for example in examples if any(target.level for target in example.targets)]
    versions: list[tuple[str, int, Example]] = [("", number, example) for number, example in enumerate(known)]
    for name, change in changes(names, random.Random(seed)).items():
        changed = ((name, number, change(example)) for number, example in enumerate(known))
        versions += [version for version in changed if version[2].text != known[version[1]].text]
    scores: dict[str, dict[int, tuple[Scores, Scores]]] = {}
    for (name, number, _), version_scores in zip(
        versions, _scores_of(bundle, [example for _, _, example in versions], threads), strict=True
    ):
        scores.setdefault(name, {})[number] = version_scores
    unchanged = scores.pop("", {})
    return [_effect(name, unchanged, changed_scores, threshold) for name, changed_scores in scores.items()]


def _scores_of(bundle: Path, examples: Sequence[Example], threads: int) -> Iterator[tuple[Scores, Scores]]:
    """Yields the probabilities of adverse of the mentions of each text: with the spans given, and end to end."""
    targets = [[target for target in example.targets if target.level] for example in examples]
    texts = [
        (example.text, [(target.start, target.end) for target in known])
        for example, known in zip(examples, targets, strict=True)
    ]
    for known, result in zip(targets, read_with_engine(bundle, texts, threads), strict=True):
        mentions = [mention_of(target, result.mentions) for target in known]
        yield (
            np.array([adverse_of(target) for target in result.targets]),
            np.array([adverse_of(mention) for mention in mentions]),
        )


def adverse_of(reading: ScoreTarget | ScoreMention | None) -> float:
    """Returns the probability that a mention is adverse; 0.0 for one that was not found."""
    return 0.0 if reading is None or reading.adverse is None else reading.adverse


def _effect(
    name: str,
    unchanged: Mapping[int, tuple[Scores, Scores]],
    changed: Mapping[int, tuple[Scores, Scores]],
    threshold: float,
) -> ChangeEffect:
    """Returns the effect of a change, from the probabilities by number of the text."""
    before = [np.concatenate([unchanged[number][column] for number in changed]) for column in (0, 1)]
    after = [np.concatenate([scores[column] for scores in changed.values()]) for column in (0, 1)]
    flips = [float(((old >= threshold) != (new >= threshold)).mean()) for old, new in zip(before, after, strict=True)]
    return ChangeEffect(name, len(before[0]), flips[0], float(np.abs(after[0] - before[0]).mean()), flips[1])


def read_pairs(path: Path = PAIRS) -> list[MinimalPair]:
    """Returns the pairs of a JSON-lines file.

    Raises:
        TrainingDataError: a line is not a pair; the message names it.
    """
    pairs: list[MinimalPair] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            pairs.append(MinimalPair.model_validate_json(line))
        except ValidationError as error:
            raise TrainingDataError(f"{path}:{number}: not a pair ({error.errors()[0]['msg']})") from error
    return pairs


def measure_pairs(bundle: Path, pairs: Sequence[MinimalPair], threads: int) -> list[PairOutcome]:
    """Returns what a bundle says of each pair, with the span of the target given."""
    texts = [text for pair in pairs for text in (pair.adverse, pair.averted)]
    targets = [pair.target for pair in pairs for _ in range(2)]
    results = iter(_read_named(bundle, texts, targets, threads))
    outcomes: list[PairOutcome] = []
    for pair, adverse, averted in zip(pairs, results, results, strict=True):
        events = tuple(event.label for event in adverse.targets[0].events or ())
        outcomes.append(PairOutcome(pair, adverse_of(adverse.targets[0]), adverse_of(averted.targets[0]), events))
    return outcomes


def read_cases(folder: Path) -> list[FieldCase]:
    """Returns the cases of the files `CASE_FILES` in a folder. Skips a file that is missing.

    The field ``level`` names the right levels in words, such as ``mild or material``.

    Raises:
        TrainingDataError: the folder has none of the files, a text does not name `CASE_NAME`, or no level is stated.
    """
    paths = [path for name in CASE_FILES if (path := folder / name).is_file()]
    if not paths:
        raise TrainingDataError(f"no {' and no '.join(CASE_FILES)} in {folder}: pass the folder of cases with --cases")
    cases: list[FieldCase] = []
    for path in paths:
        for row in json_lines(path):
            words = str(row.get("level", "")).replace(",", " ").split()
            levels = tuple(level for level in LEVELS if level in words)
            if CASE_NAME not in row["text"] or not levels:
                raise TrainingDataError(f"{path}: expected a text that names {CASE_NAME} and its level, got {row}")
            cases.append(FieldCase(path.name, row["text"], levels))
    return cases


def measure_cases(bundle: Path, cases: Sequence[FieldCase], threads: int) -> list[CaseOutcome]:
    """Returns what a bundle says of each case, with the span of the name given."""
    results = _read_named(bundle, [case.text for case in cases], [CASE_NAME] * len(cases), threads)
    outcomes: list[CaseOutcome] = []
    for case, result in zip(cases, results, strict=True):
        level = result.targets[0].level
        probabilities = [0.0 if level is None else getattr(level, name) for name in LEVELS]
        outcomes.append(CaseOutcome(case, adverse_of(result.targets[0]), LEVELS[int(np.argmax(probabilities))]))
    return outcomes


def _read_named(bundle: Path, texts: Sequence[str], names: Sequence[str], threads: int) -> list[ScoreResult]:
    """Returns what a bundle says of the first occurrence of a name in each text."""
    starts = [text.index(name) for text, name in zip(texts, names, strict=True)]
    spans = [[(start, start + len(name))] for start, name in zip(starts, names, strict=True)]
    return read_with_engine(bundle, list(zip(texts, spans, strict=True)), threads)
