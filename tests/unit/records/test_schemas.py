"""Records read as RECORDS.md writes them, and hostile ones are named."""

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


def test_an_article_comes_back_byte_for_byte() -> None:
    article = read_record(ARTICLES, ARTICLE, "articles[0]@1")
    assert isinstance(article, Article)
    again = ARTICLES.validate_json(article.to_bytes())
    assert again == article
    assert b'"2026-11-24T07:30:00Z"' in article.to_bytes()


def test_a_tick_and_a_mark_are_told_apart_by_kind() -> None:
    assert isinstance(read_record(ARTICLES, b'{"v":1,"kind":"tick","seen_at":"2026-11-24T07:30:00Z"}', ""), Tick)
    mark = read_record(SIGNALS, b'{"v":1,"kind":"mark","from":3,"seen_at":"2026-11-24T07:30:00Z","stories":12}', "")
    assert isinstance(mark, Mark)
    assert mark.from_ == 3
    assert b'"from":3' in mark.to_bytes()


def test_a_record_of_a_newer_version_with_unknown_fields_passes() -> None:
    newer = ARTICLE.replace(b'"v":1', b'"v":7,"mood":"grim"')
    assert isinstance(read_record(ARTICLES, newer, ""), Article)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"not json", "Invalid JSON"),
        (b"{}", "kind"),
        (ARTICLE.replace(b'"version":1', b'"version":0'), "version.*greater than or equal to 1.*got 0"),
        (ARTICLE.replace(b"07:30:00Z", b"07:30:00"), "published_at.*timezone"),
        (b"\xff\xfe", "JSON"),
    ],
)
def test_a_record_that_cannot_be_read_names_field_value_and_place(raw: bytes, told: str) -> None:
    with pytest.raises(SchemaError, match=rf"^articles\[0\]@7: .*{told}"):
        read_record(ARTICLES, raw, "articles[0]@7")


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_fail_in_another_way(raw: bytes) -> None:
    told = "here"
    try:
        read_record(ARTICLES, raw, "here")
    except SchemaError as error:
        told = str(error)
    assert "here" in told


def test_times_are_utc_with_milliseconds() -> None:
    tick = Tick.model_validate({"seen_at": "2026-11-24T08:30:00.123456+01:00"})
    assert tick.seen_at == datetime(2026, 11, 24, 7, 30, 0, 123_000, tzinfo=UTC)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_ids_of_different_things_differ_even_where_their_parts_run_together(a: list[str], b: list[str]) -> None:
    assert (content_id(*a) == content_id(*b)) == (a == b)


def test_records_cannot_be_changed_in_place() -> None:
    feed = Feed(id="a", url="https://a.example/")
    with pytest.raises(ValidationError):
        feed.id = "b"  # type: ignore[misc]


def test_an_alert_as_the_contract_shows_it_is_read() -> None:
    raw = (
        b'{"v":1,"id":"c0de","target":"entity:x","name":"Apple Inc.","groups":["tech"],"rule":"default",'
        b'"status":"firing","severity":"high","opened_at":"2026-11-24T07:30:00Z","at":"2026-11-24T07:30:00Z",'
        b'"window_s":3600,"stories":6,"sources":4,"expected":0.7,"surprise":5.3,"threshold":3.8,"blind":false,'
        b'"bundle":"finance-en@1.0.0","summary":"s","would_not_fire":"w","evidence":[{"story":"a","title":"t",'
        b'"url":"u","source":"s","seen_at":"2026-11-24T07:30:00Z","text":"t","start":0,"end":1,"negative":0.94}]}'
    )
    assert read_record(TypeAdapter(Alert), raw, "").evidence[0].negative == 0.94
