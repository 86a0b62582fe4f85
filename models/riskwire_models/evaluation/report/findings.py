"""What `evaluate` measures of a bundle, as the report shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riskwire_models.evaluation.engine_reading import EngineReadings
from riskwire_models.evaluation.fairness import KindFairness
from riskwire_models.evaluation.report.curves import LabelReadings
from riskwire_models.evaluation.risk_readings import Estimate
from riskwire_models.evaluation.robustness import CaseOutcome, ChangeEffect, PairOutcome
from riskwire_models.export.manifest import BundleManifest

#: Why the figures of a bundle without the head for levels are missing.
WITHOUT_LEVEL = (
    "This bundle has no head for the level of mentions. The risk figures, robustness, pairs and fairness are left out."
)
WITHOUT_EVENTS = "This bundle has no head for event types. Their figures are left out."


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The scores of a precision and a head on a data set, as text."""

    precision: str
    head: str
    data_set: str
    rows: int
    scores: str


@dataclass(frozen=True, slots=True)
class RiskFindings:
    """What was measured of the level and the events of mentions on held-out texts.

    Attributes:
        adverse_threshold: the probability from which a mention is adverse.
        events_threshold: the probability from which an event is named; None if the bundle has no such head.
        readings: what the engine says of the labelled parties.
        spans_given: figures with the spans given.
        end_to_end: figures with names that the engine finds.
        cases: outcomes of the cases from the field; empty if no folder was named.
    """

    adverse_threshold: float
    events_threshold: float | None
    readings: EngineReadings
    spans_given: Mapping[str, Estimate]
    end_to_end: Mapping[str, Estimate]
    robustness: tuple[ChangeEffect, ...]
    pairs: tuple[PairOutcome, ...]
    cases: tuple[CaseOutcome, ...]
    fairness: tuple[KindFairness, ...]


@dataclass(frozen=True, slots=True)
class BundleEvaluation:
    """What was measured of a bundle.

    Attributes:
        rows: scores by precision, head and data set.
        labels: answers of the heads with one label a sentence or mention, on held-out texts.
        labels_precision: the precision that gave these answers.
        risk: None if the bundle has no head for the level of mentions.
    """

    manifest: BundleManifest
    rows: tuple[ScoreRow, ...]
    labels: tuple[LabelReadings, ...]
    labels_precision: str
    risk: RiskFindings | None
