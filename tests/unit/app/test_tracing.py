"""The way of an article: every step that the bus and the store know, in order, with the time between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import fictional
import pytest

from riskwire.app.tracing import trace
from riskwire.bus import Bus, Outgoing
from riskwire.bus.open import open_bus
from riskwire.notify.delivered import Delivered
from riskwire.pipeline import NOTIFY, Topic
from riskwire.records import Alert, Article
from riskwire.settings import Settings
from riskwire.store import Store, StoredArticle

RECEIVER = "a webhook"


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    """An empty embedded bus."""
    bus = await open_bus(Settings(data=tmp_path))
    yield bus
    await bus.close()


@pytest.fixture
def stored(tmp_path: Path) -> StoredArticle:
    """An article of the store with one signal and one alert, and another article that led to nothing."""
    with Store.open(Settings(data=tmp_path)) as store:
        alerted, unrelated = fictional.analysis("alerted"), fictional.analysis("unrelated")
        store.write_analyses([alerted, unrelated])
        store.write_signals([fictional.signal("alerted")])
        store.write_alerts([alert()])
        article = store.article(alerted.article.id)
    assert article is not None
    return article


def alert() -> Alert:
    """Returns an alert whose evidence is the story of the article "alerted"."""
    story = fictional.signal("alerted").story
    evidence = fictional.evidence(1).model_copy(update={"story": story})
    return fictional.alert(at=fictional.NOON + timedelta(seconds=20)).model_copy(update={"evidence": (evidence,)})


async def publish_way(bus: Bus, *, newest_articles: int = 0) -> None:
    """Publishes the records of all stages for the article "alerted", among other records, and its notification."""
    analysis, signal, event_alert = fictional.analysis("alerted"), fictional.signal("alerted"), alert()
    fields = {name: getattr(analysis.article, name) for name in Article.model_fields if hasattr(analysis.article, name)}
    article = Article(**{name: value for name, value in fields.items() if name not in ("kind", "v")})
    noise = [Outgoing(Topic.ARTICLES, f"noise-{number}", b"{}") for number in range(newest_articles)]
    async with bus.publisher("test") as publisher:
        await publisher.publish([*noise, Outgoing(Topic.ARTICLES, article.id, article.to_bytes())], {})
        await publisher.publish([Outgoing(Topic.ANALYSES, article.id, analysis.to_bytes())], {})
        await publisher.publish([Outgoing(Topic.SIGNALS, signal.target, signal.to_bytes())], {})
        await publisher.publish([Outgoing(Topic.ALERTS, event_alert.target, event_alert.to_bytes())], {})
    delivered = Delivered({})
    delivered.add(event_alert, RECEIVER, event_alert.at.timestamp() + 1)
    assignment = await anext(bus.assignments(NOTIFY.name, NOTIFY.reads))
    await assignment.restore()
    await assignment.commit(0, [], delivered.take_changes())


async def test_each_step_is_found_with_its_time(bus: Bus, stored: StoredArticle) -> None:
    await publish_way(bus, newest_articles=1_000)
    steps = await trace(bus, stored)
    names = [step.step for step in steps]
    assert names == ["published", "seen", "ingested", "analysed", "signal", "alert", "notified"]
    assert all(step.at is not None for step in steps)
    assert steps[1].lag_s == 0
    assert steps[-1].detail == RECEIVER
    ingested, analysed = steps[2].at, steps[3].at
    assert ingested is not None
    assert analysed is not None
    assert steps[3].lag_s == pytest.approx((analysed - ingested).total_seconds(), abs=1e-3)


async def test_a_record_that_the_bus_no_longer_has_leaves_a_step_without_a_time(
    bus: Bus, stored: StoredArticle
) -> None:
    """The alert then has the time of its record, and what is missing is no error."""
    steps = {step.step: step for step in await trace(bus, stored)}
    assert steps["analysed"].at is None
    assert steps["analysed"].lag_s is None
    assert steps["alert"].at == alert().at
    assert "notified" not in steps


async def test_a_story_that_no_alert_names_leads_to_none(bus: Bus, stored: StoredArticle) -> None:
    steps = await trace(bus, replace(stored, alerts=()))
    assert "alert" not in {step.step for step in steps}


def test_an_article_is_found_by_id_start_of_id_and_address(tmp_path: Path) -> None:
    with Store.open(Settings(data=tmp_path)) as store:
        analyses = [fictional.analysis(f"a{number}") for number in range(40)]
        store.write_analyses(analyses)
        first = analyses[0].article
        for name in (first.id, first.id[:12], first.url):
            article = store.article(name)
            assert article is not None
            assert article.id == first.id
        for unknown in ("", "unknown", "%"):  # the first and the last would name several
            assert store.article(unknown) is None


def test_arrivals_are_forgotten_beyond_their_number() -> None:
    alerts = [alert().model_copy(update={"id": f"{number:02}"}) for number in range(5)]
    delivered = Delivered({}, limit=3)
    for number, sent_alert in enumerate(alerts):
        delivered.add(sent_alert, RECEIVER, float(number + 1))
    state = {key: value for key, value in delivered.take_changes().items() if value is not None}
    assert len(state) == 3
    restored = Delivered(state, limit=3)
    restored.add(alerts[0], RECEIVER, 9.0)
    changes = restored.take_changes()
    assert sum(value is None for value in changes.values()) == 1
