"""Scores a bundle on the open test set, and writes down that it did (``riskwire model look``).

No other part of this package reads that set, so that nothing is chosen on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from riskwire_models.data.corpus import unseen_corpus
from riskwire_models.errors import BundleFolderError
from riskwire_models.evaluation.engine_reading import read_labelled
from riskwire_models.evaluation.risk import risk_estimates, thresholds_of
from riskwire_models.evaluation.risk_readings import Estimate
from riskwire_models.export.looks import record_look
from riskwire_models.export.manifest import LookEntry, read_manifest

#: The data set of which each look is written down.
OPEN_SET = "risk_open"


def look_at_open_set(bundle: Path, data: Path, *, threads: int = 2) -> LookEntry:
    """Scores a bundle on the open test set, appends the look to bundle.json and to the card, and returns it.

    Args:
        data: folder of the data sets.

    Raises:
        BundleFolderError: the bundle cannot be read, or has no head for the level of mentions.
        TrainingDataError: the set is missing.
    """
    manifest = read_manifest(bundle)
    if "level" not in manifest.heads:
        raise BundleFolderError(f"{bundle} has no head for the level of mentions: there is nothing to score")
    thresholds = thresholds_of(manifest)
    readings = read_labelled(bundle, unseen_corpus(data, OPEN_SET), threads)
    left_out = () if "events" in manifest.heads else ("event_f1",)
    figures: dict[str, Any] = {
        "mentions": len(readings.given.truth),
        "found": round(readings.found, 4),
        "adverse_threshold": thresholds.adverse,
        "events_threshold": thresholds.events,
    }
    for part, part_readings in (("given", readings.given), ("end_to_end", readings.end_to_end)):
        estimates = risk_estimates(part_readings, thresholds)
        figures[part] = _numbers({name: estimate for name, estimate in estimates.items() if name not in left_out})
    look = LookEntry(at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), figures=figures)
    # The figures are returned only after they were written down, so that no look is without its entry.
    record_look(bundle, look)
    return look


def _numbers(estimates: Mapping[str, Estimate]) -> dict[str, list[float]]:
    return {name: [estimate.value, estimate.low, estimate.high] for name, estimate in estimates.items()}
