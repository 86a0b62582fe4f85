"""The alerts of a perfect model on the demo corpus, with default settings: one crisis and no trap."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
import yaml

from riskwire.alerting.book import Book
from riskwire.demo import CRISIS, corpus_path, watchlist_path
from riskwire.records import Alert, Evidence, Mark, Sentiment, Signal, content_id
from riskwire.settings import AlertingSettings

BUCKET_S = AlertingSettings().bucket_s


@pytest.fixture(scope="module")
def alerts() -> list[Alert]:
    """Every alert that the alerting core raises on the demo's news, as if a perfect model had read it.

    An item gives a signal for each watched company whose name is in title or summary. It is negative (0.9) for the
    companies in its field `negative_for`, else not (0.1). After each item a mark counts one story of the stream.
    """
    watchlist = yaml.safe_load(watchlist_path().read_text(encoding="utf-8"))
    book = Book(AlertingSettings(), 1, {})
    alerts: list[Alert] = []
    for line in corpus_path().read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        seen_at = datetime.fromisoformat(item["published_at"])
        for entry in watchlist:
            if entry["name"] in f"{item['title']} {item['summary']}":
                negative = 0.9 if entry["id"] in item.get("negative_for", []) else 0.1
                book.take(_signal(item, entry, seen_at, negative))
        bucket = int(seen_at.timestamp()) // BUCKET_S * BUCKET_S
        book.take(Mark(from_=0, seen_at=seen_at, stories=1, buckets={bucket: 1}))
        alerts += book.close().alerts
    return alerts


def _signal(item: dict[str, str], entry: dict[str, str], seen_at: datetime, negative: float) -> Signal:
    """Returns the signal of a watched entity that a perfect model would give for an item of the demo's news.

    Args:
        item: a line of the corpus.
        entry: an entry of the watchlist.
        negative: the probability of negative sentiment; the remainder is neutral.
    """
    return Signal(
        target=f"entity:{entry['id']}",
        name=entry["name"],
        groups=(entry["group"],),
        article=content_id(item["url"]),
        version=1,
        story=content_id(item.get("reprint_of", item["url"])),
        source=item["source"],
        title=item["title"],
        url=item["url"],
        published_at=seen_at,
        seen_at=seen_at,
        sentiment=Sentiment(negative=negative, neutral=round(1 - negative, 4), positive=0.0),
        relevance=1.0,
        evidence=Evidence(text=item["title"], start=0, end=1),
        bundle="perfect@1.0.0",
    )


def test_only_the_company_in_crisis_alerts(alerts: list[Alert]) -> None:
    assert {alert.target for alert in alerts} == {CRISIS}


def test_the_alert_fires_on_the_first_day_escalates_and_resolves(alerts: list[Alert]) -> None:
    """One episode: it fires on the day of the crisis, escalates at least once, and resolves within ten days."""
    statuses = [alert.status for alert in alerts]
    assert statuses[0] == "firing"
    assert statuses[-1] == "resolved"
    assert statuses.count("escalated") == len(statuses) - 2 >= 1
    assert len({alert.id for alert in alerts}) == 1
    assert f"{alerts[0].at:%Y-%m-%d}" == "2031-03-31"
    assert alerts[-1].at < datetime.fromisoformat("2031-04-10T00:00:00Z")


def test_the_alert_names_the_stories_that_drove_it_from_several_sources(alerts: list[Alert]) -> None:
    assert alerts[0].sources >= 3
    assert {evidence.source for evidence in alerts[0].evidence} >= {"marketbell", "autobulletin", "thecourant"}
