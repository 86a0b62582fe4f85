"""Level and event types in records: their fields, old records without them, and the level that is shown."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from riskwire.errors import SchemaError
from riskwire.records import (
    EVENT_TYPES,
    SIGNALS,
    Alert,
    AlertEvidence,
    Analysis,
    EventScore,
    Level,
    Mention,
    ScoreResult,
    Signal,
    read_record,
)

SENTIMENT = {"negative": 0.9, "neutral": 0.1, "positive": 0.0}
LEVEL = {"neutral": 0.05, "mild": 0.13, "material": 0.8, "favourable": 0.02}
RISK = {"level": LEVEL, "adverse": 0.93, "events": [{"label": "recall", "score": 0.88}]}
MENTION = {
    "start": 0,
    "end": 5,
    "text": "Apple",
    "type": "ORG",
    "sentence": 0,
    "entity": "isin:US0378331005",
    "name": "Apple Inc.",
    "sentiment": SENTIMENT,
}
ANALYSIS = {
    "v": 1,
    "article": {
        "id": "5f2c",
        "version": 1,
        "url": "u",
        "source": "s",
        "title": "Apple recalls",
        "language": "en",
        "published_at": "2026-11-24T07:30:00Z",
        "seen_at": "2026-11-24T07:30:00Z",
        "backfill": False,
    },
    "bundle": "finance-en@2.0.0",
    "status": "ok",
    "sentiment": SENTIMENT,
    "score": -0.9,
    "topics": [],
    "sentences": [{"start": 0, "end": 13, "sentiment": SENTIMENT}],
    "skipped_sentences": 0,
    "mentions": [MENTION],
    "story": "9ab1",
}
SIGNAL = {
    "v": 1,
    "kind": "signal",
    "target": "entity:isin:US0378331005",
    "name": "Apple Inc.",
    "article": "5f2c",
    "version": 1,
    "story": "9ab1",
    "source": "s",
    "title": "Apple recalls",
    "url": "u",
    "published_at": "2026-11-24T07:30:00Z",
    "seen_at": "2026-11-24T07:30:00Z",
    "sentiment": SENTIMENT,
    "relevance": 0.8,
    "evidence": {"text": "Apple recalls", "start": 0, "end": 5},
}


def encoded(fields: dict[str, Any]) -> bytes:
    return orjson.dumps(fields)


def test_the_signal_of_the_contract_is_read_and_written_with_level_and_events() -> None:
    signal = read_record(SIGNALS, encoded({**SIGNAL, **RISK, "adverse_from": 0.4}), "signals[0]@1")
    assert isinstance(signal, Signal)
    assert signal.level == Level(**LEVEL)
    assert signal.events == (EventScore(label="recall", score=0.88),)
    written = orjson.loads(signal.to_bytes())
    assert {name: written[name] for name in ("level", "adverse", "events", "adverse_from")} == {
        **RISK,
        "adverse_from": 0.4,
    }


def test_the_analysis_of_the_contract_is_read_and_written_with_level_and_events() -> None:
    sentence = {**ANALYSIS["sentences"][0], "events": [{"label": "macro_stress", "score": 0.7}]}
    fields = {**ANALYSIS, "mentions": [{**MENTION, **RISK}], "sentences": [sentence], "adverse_from": 0.4}
    analysis = read_record(TypeAdapter(Analysis), encoded(fields), "analyses[0]@1")
    assert analysis.mentions[0].level == Level(**LEVEL)
    assert analysis.mentions[0].adverse == 0.93
    written = orjson.loads(analysis.to_bytes())
    assert written["mentions"] == [{**MENTION, **RISK, "parent": ""}]
    assert written["sentences"] == fields["sentences"]


def test_records_of_version_0_1_are_read_without_level_and_events() -> None:
    """None means that the bundle did not predict it; an empty list of events, that nothing happened."""
    analysis = read_record(TypeAdapter(Analysis), encoded(ANALYSIS), "analyses[0]@1")
    (mention,), (sentence,) = analysis.mentions, analysis.sentences
    assert (mention.level, mention.adverse, mention.events, sentence.events, analysis.adverse_from) == (None,) * 5
    signal = read_record(SIGNALS, encoded(SIGNAL), "signals[0]@1")
    assert isinstance(signal, Signal)
    assert (signal.level, signal.adverse, signal.events, signal.adverse_from) == (None,) * 4
    story = {"story": "a", "title": "t", "url": "u", "source": "s", "seen_at": "2026-11-24T07:30:00Z", "text": "t"}
    evidence = AlertEvidence.model_validate({**story, "start": 0, "end": 1, "negative": 0.94})
    assert (evidence.level, evidence.adverse, evidence.events) == (None,) * 3
    assert "level" in Alert.model_json_schema()["$defs"]["AlertEvidence"]["properties"]


def test_records_of_version_0_1_are_read_without_a_publisher() -> None:
    """Their feed identifies their source then."""
    analysis = read_record(TypeAdapter(Analysis), encoded(ANALYSIS), "analyses[0]@1")
    signal = read_record(SIGNALS, encoded(SIGNAL), "signals[0]@1")
    assert isinstance(signal, Signal)
    assert (analysis.article.publisher, signal.publisher, signal.source_key) == ("", "", signal.source.casefold())


def test_the_result_of_a_score_has_level_and_events_of_mentions_and_targets() -> None:
    place = {"start": 0, "end": 5, "sentiment": SENTIMENT}
    mention = {**place, "text": "Apple", "type": "ORG", "entity": "isin:US0378331005"}
    fields = {
        "id": 1,
        "sentiment": SENTIMENT,
        "sentences": [{**place, "events": []}],
        "mentions": [{**mention, **RISK}],
        "targets": [{**place, **RISK}],
        "topics": [],
    }
    assert orjson.loads(ScoreResult.model_validate(fields).to_bytes()) == fields


def test_event_types_of_a_newer_version_are_read() -> None:
    mention = Mention.model_validate({**MENTION, **RISK, "events": [{"label": "asteroid", "score": 0.5}]})
    assert mention.events == (EventScore(label="asteroid", score=0.5),)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"adverse": 1.5}, "adverse.*got 1.5"),
        ({"level": {**LEVEL, "mild": -0.1}}, "level.mild.*got -0.1"),
        ({"events": [{"label": "recall", "score": 2}]}, "events.0.score.*got 2"),
    ],
)
def test_the_error_of_an_invalid_level_names_field_and_value(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=rf"^signals\[0\]@7: .*{message}"):
        read_record(SIGNALS, encoded({**SIGNAL, **RISK, **fields}), "signals[0]@7")


@pytest.mark.parametrize(
    ("level", "adverse_from", "label"),
    [
        ((0.05, 0.13, 0.8, 0.02), None, "material"),
        ((0.1, 0.5, 0.3, 0.1), None, "mild"),
        ((0.5, 0.2, 0.2, 0.1), None, "neutral"),
        ((0.5, 0.2, 0.2, 0.1), 0.4, "material"),
        ((0.5, 0.2, 0.2, 0.1), 0.41, "neutral"),
        ((0.2, 0.1, 0.1, 0.6), 0.4, "favourable"),
        ((0.4, 0.1, 0.1, 0.4), 0.4, "neutral"),
    ],
)
def test_the_level_shown_is_adverse_from_the_threshold_of_the_bundle(
    level: tuple[float, float, float, float], adverse_from: float | None, label: str
) -> None:
    """The level is neutral, mild, material, favourable. Without a threshold, it is adverse from 0.5."""
    assert Level(**dict(zip(Level.model_fields, level, strict=True))).label(adverse_from) == label


@given(st.lists(st.integers(0, 100), min_size=4, max_size=4).filter(any))
def test_adverse_is_mild_plus_material(parts: list[int]) -> None:
    shares = [round(part / sum(parts), 4) for part in parts]
    level = Level(**dict(zip(Level.model_fields, shares, strict=True)))
    assert level.adverse == pytest.approx(level.mild + level.material, abs=1e-9)
    assert level.adverse == round(level.adverse, 4)


def test_there_are_42_event_types_in_the_order_of_the_guide() -> None:
    assert len(set(EVENT_TYPES)) == len(EVENT_TYPES) == 42
    assert EVENT_TYPES[:6] == (
        "bankruptcy",
        "default",
        "distress",
        "credit_downgrade",
        "broker_downgrade",
        "profit_warning",
    )
    assert EVENT_TYPES[-2:] == ("relief", "other")


@pytest.mark.needs_data
def test_the_event_types_are_those_of_the_guide(shared_data: Any) -> None:
    """The guide has them in the rows of a table, two in a row: | code | what | code | what |."""
    guide = (shared_data / "risk" / "GUIDE.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in guide.splitlines() if line.startswith("|")][2:]
    assert tuple(row[column].strip() for row in rows for column in (0, 2)) == EVENT_TYPES
