"""Labelled texts as signals: what a bundle reads of the named parties, beside the label by a person."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from event_fit import outright_floor

from riskwire.alerting.events import EventRules
from riskwire.alerting.events.reading import Happening, happenings, is_good_news
from riskwire.backtest.cached_engine import CachedEngine
from riskwire.backtest.readings import ReadingFile, readings_id
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.probabilities import sentiment_of
from riskwire.inference.model.sentences import TextDocument
from riskwire.records import Evidence, Signal
from riskwire.settings import Settings

_AT = datetime(2020, 1, 1, tzinfo=UTC)
_MATERIAL, _MILD = "2", "1"


@dataclass(frozen=True, slots=True)
class LabelledParty:
    """What a bundle reads of a party of a labelled text, and whether a person calls it material."""

    signal: Signal
    is_material: bool


async def read_labelled(lines: Sequence[str], settings: Settings, cache: Path) -> list[LabelledParty]:
    """Returns the parties of labelled texts, which are JSON lines with `text` and `targets`; readings are cached."""
    rows = [json.loads(line) for line in lines]
    bundle = Bundle.load(settings.inference.bundle)
    file = ReadingFile(cache / f"readings-{readings_id(bundle, settings.inference)}.sqlite")
    try:
        async with CachedEngine(bundle, settings.inference, file) as engine:
            read = []
            for start in range(0, len(rows), 256):
                texts = [row["text"] for row in rows[start : start + 256]]
                read += await engine.predict([TextDocument(text, len(text)) for text in texts], max_sentences=1)
    finally:
        file.close()
    parties = []
    for row, document in zip(rows, read, strict=True):
        if not document.sentences:
            continue
        sentence = document.sentences[0]
        text = document.document.content[sentence.start : sentence.end]
        for number, target in enumerate(row["targets"]):
            start, end = target["start"] - sentence.start, target["end"] - sentence.start
            if not 0 <= start < end <= len(text):
                continue
            prediction = sentence.prediction.of_span(start, end)
            if prediction.level is None:
                continue
            signal = Signal.unvalidated(
                target=f"entity:name:labelled-{number}",
                name=target["text"],
                article=row["id"],
                version=1,
                story="",
                source="labelled",
                title=text,
                url="",
                published_at=_AT,
                seen_at=_AT,
                sentiment=sentiment_of(prediction.sentiment),
                level=prediction.level,
                adverse=prediction.level.mild + prediction.level.material,
                events=prediction.events,
                relevance=1.0,
                evidence=Evidence(text=text, start=start, end=end),
            )
            parties.append(LabelledParty(signal, target["level"] == _MATERIAL))
    return parties


def outright_floors(lines: Sequence[str], rules: EventRules) -> dict[str, float]:
    """Returns the least `outright` threshold of each event type, by what persons say of texts with its words."""
    counts: dict[str, Counter[str]] = {}
    for line in lines:
        row = json.loads(line)
        stated = rules.words.stated(row["text"])
        if stated is not None and stated.outright:
            counts.setdefault(stated.type, Counter()).update(target["level"] for target in row["targets"])
    return {event_type: outright_floor(levels[_MATERIAL], levels[_MILD]) for event_type, levels in counts.items()}


def parties_by_type(
    parties: Sequence[LabelledParty], rules: EventRules
) -> dict[str, list[tuple[Happening, LabelledParty]]]:
    """Returns the labelled parties by the event type that the rules would tell; those with good news are left out."""
    by_type: dict[str, list[tuple[Happening, LabelledParty]]] = {}
    for party in parties:
        if not is_good_news(party.signal, rules):
            for happening in happenings(party.signal, rules):
                by_type.setdefault(happening.type, []).append((happening, party))
    return by_type


def precision(
    parties: Sequence[tuple[Happening, LabelledParty]], material: float, outright: float
) -> tuple[float | None, int]:
    """Returns the share of material parties among those that thresholds tell, and how many they tell."""
    are_material = [
        party.is_material
        for happening, party in parties
        if (party.signal.level is not None and party.signal.level.material >= material)
        or (happening.outright and happening.adverse >= outright)
    ]
    return (sum(are_material) / len(are_material) if are_material else None), len(are_material)
