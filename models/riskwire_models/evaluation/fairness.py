"""Measures whether a model reads all countries, persons and companies alike in the same sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from riskwire_models.evaluation.engine_reading import read_with_engine
from riskwire_models.evaluation.robustness import adverse_of
from riskwire_models.evaluation.templates import NAMES, TEMPLATES, NameKind, NameTemplate, SlotName


@dataclass(frozen=True, slots=True)
class TemplateSpread:
    """How far the probability of adverse depends on the name in one sentence.

    Attributes:
        lowest: the name with the lowest probability, and that probability.
        highest: the name with the highest one.
        deviation: standard deviation over the names.
        flips: names whose verdict is not that of most names.
        wrong: names whose verdict is not that of the template.
        names: number of names.
    """

    template: NameTemplate
    lowest: tuple[str, float]
    highest: tuple[str, float]
    deviation: float
    flips: int
    wrong: int
    names: int

    @property
    def spread(self) -> float:
        """The highest probability minus the lowest."""
        return self.highest[1] - self.lowest[1]


@dataclass(frozen=True, slots=True)
class GroupShift:
    """How far a group of names is read as more adverse than the mean of all names in the same sentences.

    Attributes:
        division: what the groups differ in, such as ``region``.
        shift: mean difference of the probability of adverse.
    """

    division: str
    group: str
    names: int
    shift: float


@dataclass(frozen=True, slots=True)
class KindFairness:
    """The spreads of one kind of name, widest first, and the shifts of its groups, most adverse first."""

    kind: NameKind
    templates: tuple[TemplateSpread, ...]
    groups: tuple[GroupShift, ...]

    @property
    def mean_spread(self) -> float:
        """The mean over the sentences of the highest minus the lowest probability."""
        return float(np.mean([template.spread for template in self.templates]))

    @property
    def mean_deviation(self) -> float:
        """The mean over the sentences of the standard deviation."""
        return float(np.mean([template.deviation for template in self.templates]))

    @property
    def flips(self) -> float:
        """The share of verdicts that are not those of most names in the same sentence."""
        verdicts = sum(template.names for template in self.templates)
        return sum(template.flips for template in self.templates) / verdicts


def measure_fairness(bundle: Path, threshold: float, threads: int) -> list[KindFairness]:
    """Returns the fairness of a bundle over countries, persons and companies, with the spans given.

    Args:
        threshold: the probability from which a mention is adverse.
    """
    filled = [template.filled(name.text) for template in TEMPLATES for name in NAMES[template.kind]]
    results = iter(read_with_engine(bundle, [(text, [(start, end)]) for text, start, end in filled], threads))
    probabilities = {
        template: [adverse_of(next(results).targets[0]) for _ in NAMES[template.kind]] for template in TEMPLATES
    }
    return [
        kind_fairness(kind, names, {key: value for key, value in probabilities.items() if key.kind == kind}, threshold)
        for kind, names in NAMES.items()
    ]


def kind_fairness(
    kind: NameKind,
    names: Sequence[SlotName],
    probabilities: Mapping[NameTemplate, Sequence[float]],
    threshold: float,
) -> KindFairness:
    """Returns the fairness of one kind of name.

    Args:
        names: the names, in the order of the probabilities.
        probabilities: probability of adverse of each name, by template.
        threshold: the probability from which a mention is adverse.
    """
    table = np.array(list(probabilities.values()), np.float64)
    spreads = [_spread(template, names, row, threshold) for template, row in zip(probabilities, table, strict=True)]
    shifts = (table - table.mean(axis=1, keepdims=True)).mean(axis=0)
    members: dict[tuple[str, str], list[int]] = {}
    for number, name in enumerate(names):
        for division_and_group in name.groups.items():
            members.setdefault(division_and_group, []).append(number)
    groups = [
        GroupShift(division, group, len(numbers), float(shifts[numbers].mean()))
        for (division, group), numbers in members.items()
    ]
    return KindFairness(
        kind,
        tuple(sorted(spreads, key=lambda spread: -spread.spread)),
        tuple(sorted(groups, key=lambda group: (group.division, -group.shift))),
    )


def _spread(
    template: NameTemplate, names: Sequence[SlotName], row: NDArray[np.float64], threshold: float
) -> TemplateSpread:
    low, high = int(row.argmin()), int(row.argmax())
    called = int((row >= threshold).sum())
    return TemplateSpread(
        template,
        (names[low].text, float(row[low])),
        (names[high].text, float(row[high])),
        float(row.std()),
        min(called, len(row) - called),
        len(row) - called if template.adverse else called,
        len(row),
    )
