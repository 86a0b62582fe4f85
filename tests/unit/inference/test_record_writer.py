"""What infer writes without building records is what the records would have written, to the byte."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.analysis import summarise, target_sentiments
from riskwire.inference.linking import Linker
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.record_writer import write_analysis, write_signals, write_unread_analysis
from riskwire.pipeline import Topic
from riskwire.records import Analysis, Article, Record, Signal

ENTRY = {"id": "acme", "name": "Acme Corp", "group": "makers", "tickers": ["ACME"]}
HUGE = 10**30
"""A version that no machine word holds, but JSON does."""


def news(**fields: object) -> Article:
    return Article.model_validate(
        {
            "id": "a\N{SNOWMAN}",
            "version": 3,
            "url": 'https://news.example/"x"?a=1&b=\\',
            "source": "wire",
            "title": "Acme Corp \u2028falls\x00\x1f\x7f – «hard»",
            "text": "…",
            "language": "en-GB",
            "published_at": "2026-01-05T10:00:00+01:00",
            "seen_at": "2026-01-05T10:00:07.1259Z",
            "backfill": True,
            **fields,
        }
    )


def same(raw: bytes, model: type[Record], **fields: object) -> None:
    """Read back and written by pydantic it is the same bytes: so no field is missing, wrong or out of place."""
    record = model.model_validate_json(raw)
    assert record.__pydantic_serializer__.to_json(record, by_alias=True) == raw
    assert record.model_fields_set == set(model.model_fields)
    assert {name: getattr(record, name) for name in fields} == fields


@pytest.fixture
def reading(marked: Callable[..., DocumentPrediction]) -> DocumentPrediction:
    return marked(
        "[ORG Acme Corp] \u2028falls\x00 – «hard»",
        "In [LOC Ireland] [ORG Globex Inc] gained, [ORG Moody's] said.",
        sentiments=[(0.9, 0.0999, 0.0001), (0.0, 0.25, 0.75)],
    )


@pytest.mark.parametrize("article", [news(), news(backfill=False, language=None), news(version=HUGE)])
def test_analysis_and_signals_are_the_bytes_their_records_would_be(
    article: Article, reading: DocumentPrediction
) -> None:
    linker = Linker(Watchlist((WatchedEntity.model_validate(ENTRY),)))
    mentions = linker.link(reading)
    (whole,) = summarise([reading], (), 0.5)
    analysis = write_analysis(article, reading, mentions, whole, "tiny@1.0.0", "5f" * 32, 7)
    assert (analysis.topic, analysis.key) == (Topic.ANALYSES, article.id)
    same(analysis.value, Analysis, status="ok", bundle="tiny@1.0.0", story="5f" * 32, read_with=7, skipped_sentences=0)
    said = target_sentiments(reading, mentions, whole, watched_only=True)
    signals = write_signals(article, said, "tiny@1.0.0", "5f" * 32)
    assert [one.key for one in signals] == [one.target for one in said] == ["entity:acme", "group:makers", "market"]
    for signal, one in zip(signals, said, strict=True):
        same(
            signal.value,
            Signal,
            target=one.target,
            name=one.name,
            groups=one.groups,
            article=article.id,
            version=article.version,
            seen_at=article.seen_at,
            backfill=article.backfill,
            history=False,
            relevance=one.relevance,
        )


@pytest.mark.parametrize("status", ["unsupported", "empty"])
def test_an_article_that_was_not_read_is_written_as_its_record_would_be(status: str) -> None:
    raw = write_unread_analysis(news(), status, "tiny@1.0.0", None).value  # type: ignore[arg-type]
    same(raw, Analysis, status=status, sentiment=None, story=None, sentences=(), read_with=None)
