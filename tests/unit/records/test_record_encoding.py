"""Fast paths of records: they give the same records and bytes as pydantic."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticSerializationError

from riskwire.records import (
    EARLIEST,
    LATEST,
    Article,
    Evidence,
    Mark,
    Record,
    Sentiment,
    Signal,
    Tick,
    WatchlistChange,
)

AT = datetime(2026, 3, 2, 12, 0, 1, 250_000, tzinfo=UTC)
FIELDS = {
    "evidence": Evidence(text="Acme falls", start=0, end=4),
    "sentiment": Sentiment(negative=0.9, neutral=0.1, positive=0.0),
    "relevance": 1.0,
    "seen_at": AT,
    "published_at": AT,
    "url": "https://news.example/1",
    "title": "Acme falls – «hard»",
    "source": "wire",
    "story": "5f",
    "version": 2,
    "article": "5f2c",
    "groups": ("tech",),
    "name": "Acme",
    "target": "entity:acme",
}


def test_an_unvalidated_record_equals_a_validated_one_for_any_order_of_fields() -> None:
    """The fields are given in another order than in the class, and some that have defaults are missing."""
    validated, unvalidated = Signal(**FIELDS), Signal.unvalidated(**FIELDS)
    assert unvalidated == validated
    assert unvalidated.to_bytes() == validated.to_bytes()
    assert Signal.model_validate_json(unvalidated.to_bytes()) == validated
    assert list(unvalidated.model_dump()) == list(Signal.model_fields)
    renamed = {"name": "Acme Corp"}
    assert unvalidated.model_copy(update=renamed) == validated.model_copy(update=renamed)


def test_unvalidated_records_do_not_share_values() -> None:
    first, second = (
        Sentiment.unvalidated(negative=0.1, neutral=0.9, positive=0.0),
        Sentiment.unvalidated(negative=0.2, neutral=0.8, positive=0.0),
    )
    assert (first.negative, second.negative) == (0.1, 0.2)


def test_an_unvalidated_record_without_a_required_field_cannot_be_encoded() -> None:
    with pytest.raises(PydanticSerializationError):
        Article.unvalidated(id="5f2c", version=1).to_bytes()


@pytest.mark.parametrize(
    "record",
    [
        Signal(**FIELDS),
        Signal(**FIELDS | {"version": 10**30, "title": '"\\\x00\x1f\x7f\u2028\N{GRINNING FACE}'}),
        Mark.model_validate({"from": 3, "seen_at": AT, "stories": 2, "buckets": {1_772_000_000: 2}}),
        WatchlistChange(
            id="acme", entry={"id": "acme", "weights": [0.1, 1e-9, 1e300], "more": {"a": None}}, at=AT, command=3
        ),
        Tick(seen_at=datetime(2026, 3, 2, tzinfo=UTC)),
    ],
    ids=["signal", "integer over 64 bits", "alias and integer keys", "nested values", "full seconds"],
)
def test_a_record_is_encoded_as_by_pydantic(record: Record) -> None:
    """`to_bytes` uses a faster encoder for records that it can encode; some of the parameters it cannot."""
    assert record.to_bytes() == record.__pydantic_serializer__.to_json(record, by_alias=True)


@given(
    st.floats(0.0, 1.0),
    st.text(st.characters(codec="utf-8")),
    st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(UTC)),
)
def test_a_signal_with_any_values_is_encoded_as_by_pydantic(value: float, text: str, at: datetime) -> None:
    record = Signal(**FIELDS | {"relevance": round(value, 4), "title": text, "seen_at": at, "name": text})
    assert record.to_bytes() == record.__pydantic_serializer__.to_json(record, by_alias=True)
    assert Signal.encode_fields(record.__dict__) == record.to_bytes()
