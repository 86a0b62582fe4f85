"""Records written from plain fields have exactly the bytes that the record objects would have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.analysis import summarise, target_sentiments
from riskwire.inference.linking import Linker
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.record_writer import write_analysis, write_signals, write_unread_analysis
from riskwire.pipeline import Topic
from riskwire.records import Analysis, Article, Record, Signal

ENTRY = {"id": "acme", "name": "Acme Corp", "group": "makers", "tickers": ["ACME"]}
BEYOND_64_BITS = 10**30
BUNDLE = "tiny@1.0.0"
STORY = "5f" * 32


def article(**fields: object) -> Article:
    """Returns an article whose text needs escaping in JSON, with the given fields changed."""
    return Article.model_validate(
        {
            "id": "a\N{SNOWMAN}",
            "version": 3,
            "url": 'https://news.example/"x"?a=1&b=\\',
            "source": "wire",
            "publisher": "The Paper",
            "title": "Acme Corp \u2028falls\x00\x1f\x7f – «hard»",
            "text": "…",
            "language": "en-GB",
            "published_at": "2026-01-05T10:00:00+01:00",
            "seen_at": "2026-01-05T10:00:07.1259Z",
            "backfill": True,
            **fields,
        }
    )


def assert_written_as(raw: bytes, model: type[Record], **fields: object) -> None:
    """Checks that pydantic writes the same bytes for the record: no field is missing, wrong or out of order.

    Args:
        raw: the bytes that were written.
        model: the class of the record.
        fields: values that the record must have.
    """
    record = model.model_validate_json(raw)
    assert record.__pydantic_serializer__.to_json(record, by_alias=True) == raw
    assert record.model_fields_set == set(model.model_fields)
    assert {name: getattr(record, name) for name in fields} == fields


@pytest.fixture
def prediction(marked: Callable[..., DocumentPrediction]) -> DocumentPrediction:
    """Returns a prediction with names, a place and characters that need escaping."""
    return marked(
        "[ORG Acme Corp] \u2028falls\x00 – «hard»",
        "In [LOC Ireland] [ORG Globex Inc] gained, [ORG Moody's] said.",
        sentiments=[(0.9, 0.0999, 0.0001), (0.0, 0.25, 0.75)],
    )


@pytest.mark.parametrize(
    "news",
    [
        pytest.param(article(), id="backfill"),
        pytest.param(article(backfill=False, language=None), id="without language"),
        pytest.param(article(version=BEYOND_64_BITS), id="version beyond 64 bits"),
    ],
)
def test_an_analysis_and_its_signals_have_the_bytes_of_their_records(
    news: Article, prediction: DocumentPrediction
) -> None:
    """The watchlist has Acme in the group makers, so targets are Acme, its group and the market.

    The last argument of `write_analysis`, 7, is `read_with`: the offset of the newest watchlist command.
    """
    linker = Linker(Watchlist((WatchedEntity.model_validate(ENTRY),)))
    mentions = linker.link(prediction)
    (summary,) = summarise([prediction], (), 0.5)
    analysis = write_analysis(news, prediction, mentions, summary, BUNDLE, STORY, 7)
    assert (analysis.topic, analysis.key) == (Topic.ANALYSES, news.id)
    assert_written_as(
        analysis.value, Analysis, status="ok", bundle=BUNDLE, story=STORY, read_with=7, skipped_sentences=0
    )
    targets = target_sentiments(prediction, mentions, summary, watched_only=True)
    assert [target.target for target in targets] == ["entity:acme", "group:makers", "market"]
    signals = write_signals(news, targets, BUNDLE, STORY)
    assert [signal.key for signal in signals] == [target.target for target in targets]
    for signal, target in zip(signals, targets, strict=True):
        assert_written_as(
            signal.value,
            Signal,
            target=target.target,
            name=target.name,
            groups=target.groups,
            article=news.id,
            version=news.version,
            seen_at=news.seen_at,
            backfill=news.backfill,
            history=False,
            relevance=target.relevance,
            confirmed=target.confirmed,
            in_title=target.in_title,
        )


@pytest.mark.parametrize("status", ["unsupported", "empty"])
def test_the_analysis_of_an_unread_article_has_the_bytes_of_its_record(status: Literal["unsupported", "empty"]) -> None:
    """An article in another language, or without text, has an analysis with a status and without results."""
    raw = write_unread_analysis(article(), status, BUNDLE, None).value
    assert_written_as(raw, Analysis, status=status, sentiment=None, story=None, sentences=(), read_with=None)
