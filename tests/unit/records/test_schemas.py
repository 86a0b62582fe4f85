"""Reading records: fields, defaults and unknown fields; an error names the field, the value and the place."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from riskwire.errors import SchemaError
from riskwire.records import ARTICLES, SIGNALS, Alert, Article, Feed, Mark, Tick, content_id, read_record

ARTICLE = (
    b'{"v":1,"kind":"article","id":"5f2c","version":1,"url":"https://a.example/x","source":"s","title":"t","text":"x",'
    b'"language":"en","published_at":"2026-11-24T07:30:00Z","seen_at":"2026-11-24T07:31:02.125Z","backfill":false}'
)


def test_an_encoded_article_is_read_as_the_same_article() -> None:
    article = read_record(ARTICLES, ARTICLE, "articles[0]@1")
    assert isinstance(article, Article)
    assert ARTICLES.validate_json(article.to_bytes()) == article
    assert b'"2026-11-24T07:30:00Z"' in article.to_bytes()


def test_the_kind_of_a_record_decides_its_class() -> None:
    assert isinstance(read_record(ARTICLES, b'{"v":1,"kind":"tick","seen_at":"2026-11-24T07:30:00Z"}', ""), Tick)
    mark = read_record(SIGNALS, b'{"v":1,"kind":"mark","from":3,"seen_at":"2026-11-24T07:30:00Z","stories":12}', "")
    assert isinstance(mark, Mark)
    assert mark.from_ == 3
    assert b'"from":3' in mark.to_bytes()


def test_unknown_fields_of_a_newer_version_are_ignored() -> None:
    newer = ARTICLE.replace(b'"v":1', b'"v":7,"mood":"grim"')
    assert isinstance(read_record(ARTICLES, newer, ""), Article)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"not json", "Invalid JSON"),
        (b"{}", "kind"),
        (ARTICLE.replace(b'"version":1', b'"version":0'), "version.*greater than or equal to 1.*got 0"),
        (ARTICLE.replace(b"07:30:00Z", b"07:30:00"), "published_at.*timezone"),
        (b"\xff\xfe", "JSON"),
    ],
    ids=["no JSON", "no kind", "value out of range", "time without a zone", "no UTF-8"],
)
def test_the_error_of_an_invalid_record_names_field_value_and_place(raw: bytes, message: str) -> None:
    with pytest.raises(SchemaError, match=rf"^articles\[0\]@7: .*{message}"):
        read_record(ARTICLES, raw, "articles[0]@7")


@given(st.binary(max_size=200))
def test_reading_any_bytes_raises_only_schema_errors(raw: bytes) -> None:
    """Bytes that are no record raise an error that names their place; any other exception fails the test."""
    message = "articles[0]@7"
    try:
        read_record(ARTICLES, raw, "articles[0]@7")
    except SchemaError as error:
        message = str(error)
    assert "articles[0]@7" in message


def test_times_are_converted_to_utc_with_milliseconds() -> None:
    tick = Tick.model_validate({"seen_at": "2026-11-24T08:30:00.123456+01:00"})
    assert tick.seen_at == datetime(2026, 11, 24, 7, 30, 0, 123_000, tzinfo=UTC)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_content_ids_are_equal_only_for_equal_parts(first: list[str], second: list[str]) -> None:
    assert (content_id(*first) == content_id(*second)) == (first == second)


def test_records_are_immutable() -> None:
    feed = Feed(id="a", url="https://a.example/")
    with pytest.raises(ValidationError):
        feed.id = "b"  # type: ignore[misc]


def test_the_example_alert_of_the_contract_is_read() -> None:
    raw = (
        b'{"v":1,"id":"c0de","target":"entity:x","name":"Apple Inc.","groups":["tech"],"rule":"default",'
        b'"status":"firing","severity":"high","opened_at":"2026-11-24T07:30:00Z","at":"2026-11-24T07:30:00Z",'
        b'"window_s":3600,"stories":6,"sources":4,"expected":0.7,"surprise":5.3,"threshold":3.8,"blind":false,'
        b'"bundle":"finance-en@1.0.0","summary":"s","would_not_fire":"w","evidence":[{"story":"a","title":"t",'
        b'"url":"u","source":"s","seen_at":"2026-11-24T07:30:00Z","text":"t","start":0,"end":1,"negative":0.94}]}'
    )
    assert read_record(TypeAdapter(Alert), raw, "").evidence[0].negative == 0.94
