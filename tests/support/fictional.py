"""Builders of fictional records: news about invented companies, as the store receives it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from riskwire.bus import Message
from riskwire.pipeline import Topic
from riskwire.records import (
    Alert,
    AlertEvidence,
    Analysis,
    ArticleRef,
    EventScore,
    Evidence,
    Level,
    Mention,
    NearestWindow,
    NearMiss,
    Record,
    Sentiment,
    Signal,
    TopicScore,
    TrendPoint,
    content_id,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
VELDARA = "entity:veldara"
NAMES = {
    VELDARA: ("Veldara Chemicals", "industry"),
    "entity:osmark": ("Osmark Bank", "banks"),
    "entity:tirell": ("Tirell Motors", "industry"),
    "entity:quillon": ("Quillon Software", "technology"),
    "entity:norwick": ("Norwick Shipping", "transport"),
    "entity:halbrecht": ("Halbrecht Insurance", "banks"),
    "entity:pelorum": ("Pelorum Energy", "energy"),
    "entity:isin:XX0000000001": ("Castellane Foods / Groupe", "consumer"),
    "entity:lumenor": ("Lumenor Pharma", "health"),
    "entity:brightfen": ("Brightfen Retail", "consumer"),
    "entity:arctessa": ("Arctessa Air", "transport"),
    "entity:domrik": ("Domrik Steel", "industry"),
}
SOURCES = ("Harbour Wire", "The Ledger Post", "Meridian Business", "Northgate Times", "Quay Street Journal")


def mood(score: float, certainty: float = 0.85) -> Sentiment:
    """Returns a sentiment whose score (positive - negative) is about `score`, but at least 0.02 away from 0.

    Args:
        certainty: negative and positive together, unless the score is larger; the rest is neutral.
    """
    strong = max(abs(score), 0.02)
    spread = (certainty - strong) / 2 if certainty > strong else 0.0
    high, low = round(strong + spread, 4), round(spread, 4)
    negative, positive = (high, low) if score < 0 else (low, high)
    return Sentiment(negative=negative, neutral=round(max(0.0, 1 - negative - positive), 4), positive=positive)


def level(score: float) -> Level:
    """Returns the level that news of a score has: material below -0.6, mild below -0.2, favourable above 0.2."""
    strength = round(0.4 + 0.55 * min(1.0, abs(score)), 4)
    shares = {"neutral": 0.03, "mild": 0.02, "material": 0.0, "favourable": 0.0}
    main = "material" if score < -0.6 else "mild" if score < -0.2 else "favourable" if score > 0.2 else "neutral"
    shares[main] = strength
    shares["neutral"] = round(1 - sum(share for label, share in shares.items() if label != "neutral"), 4)
    return Level(**shares)


def events(score: float) -> tuple[EventScore, ...]:
    """Returns the event types that news of a score has: two below -0.6, one below -0.2 or above 0.2, else none."""
    if score < -0.6:
        return EventScore(label="accident", score=0.91), EventScore(label="investigation", score=0.64)
    if score < -0.2:
        return (EventScore(label="results_bad", score=0.83),)
    return (EventScore(label="results_good", score=0.88),) if score > 0.2 else ()


def risk(score: float) -> dict[str, Any]:
    """Returns the fields of level and event types of a signal, a mention or evidence."""
    return {"level": level(score), "adverse": level(score).adverse, "events": events(score)}


def mention(name: str, score: float) -> Mention:
    """Returns a mention of an organisation at the start of the title."""
    return Mention(
        start=0,
        end=len(name),
        text=name,
        type="ORG",
        sentence=0,
        entity=f"name:{name.casefold()}",
        name=name,
        sentiment=mood(score),
        **risk(score),
    )


def signal(
    article: str = "a1",
    *,
    target: str = VELDARA,
    version: int = 1,
    at: datetime = NOON,
    score: float = -0.8,
    **fields: Any,
) -> Signal:
    """Returns a signal: the sentiment of one article toward one target.

    Args:
        article: a label, from which the ids of the article and of its story are derived.
        at: when the article was published and seen.
        score: positive - negative, about.
        fields: fields of the signal that override the defaults.
    """
    name, group = NAMES.get(target, (target.partition(":")[2], ""))
    text = f"{name} faces claims over a leak at its plant."
    values: dict[str, Any] = {
        "target": target,
        "name": name,
        "groups": (group,) if group else (),
        "article": content_id(article),
        "version": version,
        "story": content_id("story", article),
        "source": SOURCES[0],
        "title": f"{name} in the news: {article}",
        "url": f"https://news.example/{article}",
        "published_at": at,
        "seen_at": at,
        "sentiment": mood(score),
        **risk(score),
        "adverse_from": 0.5,
        "relevance": 0.9,
        "evidence": Evidence(text=text, start=0, end=len(name)),
        "bundle": "fictional@1",
    }
    return Signal(**(values | fields))


def analysis(
    article: str = "a1", *, version: int = 1, at: datetime = NOON, score: float | None = -0.8, **fields: Any
) -> Analysis:
    """Returns the analysis of an article, with its sentiment, topic and story.

    Args:
        article: a label, from which the ids of the article and of its story are derived.
        at: when the article was published and seen.
        score: positive - negative, about; None for no sentiment.
        fields: override the defaults: `source`, `publisher`, `title`, `language`, `published_at` and `backfill` of the
            article, and any other field of the analysis.
    """
    sentiment = None if score is None else mood(score)
    values: dict[str, Any] = {
        "article": ArticleRef(
            id=content_id(article),
            version=version,
            url=f"https://news.example/{article}",
            source=fields.pop("source", SOURCES[0]),
            publisher=fields.pop("publisher", ""),
            title=fields.pop("title", f"A report about {article}"),
            language=fields.pop("language", "en"),
            published_at=fields.pop("published_at", at),
            seen_at=at,
            backfill=fields.pop("backfill", False),
        ),
        "bundle": "fictional@1",
        "status": "ok",
        "sentiment": sentiment,
        "score": None if sentiment is None else sentiment.score,
        "topics": (TopicScore(label="Legal | Regulation", score=0.9),),
        "story": content_id("story", article),
    }
    return Analysis(**(values | fields))


def trend(at: datetime = NOON, *, target: str = VELDARA, length_s: int = 60, **fields: Any) -> TrendPoint:
    """Returns a trend point: the sums of a target's news over `length_s` seconds from `at`. `fields` override them."""
    values: dict[str, Any] = {
        "target": target,
        "name": NAMES.get(target, (target,))[0],
        "start": at,
        "length_s": length_s,
        "stories": 2,
        "articles": 3,
        "negative": 1.2,
        "neutral": 0.5,
        "positive": 0.3,
        "score": -0.45,
        "surprise": 1.0,
    }
    return TrendPoint(**(values | fields))


def evidence(number: int, name: str = "Veldara Chemicals", at: datetime = NOON, **fields: Any) -> AlertEvidence:
    """Returns one story of the evidence (the stories that an alert cites). `fields` override the defaults.

    Args:
        number: chooses the texts and the source, and identifies the story.
        name: the name of the target, which the span from `start` to `end` of the text marks.
    """
    introduction = INTRODUCTIONS[number % len(INTRODUCTIONS)]
    text = f"{introduction}{name} {LEAK[number % len(LEAK)]}"
    values: dict[str, Any] = {
        "story": content_id("leak", str(number)),
        "title": f"{name} {HEADLINES[number % len(HEADLINES)]}",
        "url": f"https://news.example/leak-{number}",
        "source": SOURCES[number % len(SOURCES)],
        "seen_at": at,
        "text": text,
        "start": len(introduction),
        "end": len(introduction) + len(name),
        "negative": round(0.97 - 0.03 * (number % 6), 2),
        **risk(-0.97 + 0.03 * (number % 6)),
    }
    return AlertEvidence(**(values | fields))


def alert(
    episode: str = "e1", *, status: str = "firing", at: datetime = NOON, target: str = VELDARA, **fields: Any
) -> Alert:
    """Returns an alert record. The records of one alert, from firing to resolved, are its episode.

    Args:
        episode: a label, from which the id is derived that all records of an episode share.
        at: the time of the record; also of the opening of the episode, unless `fields` have `opened_at`.
        fields: fields of the record that override the defaults.
    """
    name, group = NAMES.get(target, (target, ""))
    stories = fields.get("stories", 6)
    values: dict[str, Any] = {
        "id": content_id("alert", episode),
        "target": target,
        "name": name,
        "groups": (group,) if group else (),
        "status": status,
        "severity": "high",
        "opened_at": at,
        "at": at,
        "window_s": 21_600,
        "stories": stories,
        "sources": 4,
        "expected": 0.7,
        "surprise": 5.3,
        "threshold": 3.8,
        "score": -0.71,
        "baseline_score": 0.08,
        "bundle": "fictional@1",
        "summary": f"{name}: {stories} negative stories from 4 sources in 6 h where 0.7 were expected.",
        "would_not_fire": "With 3 negative stories or fewer, or a mean score above -0.20, this would not have fired.",
        "evidence": tuple(evidence(number, name, at - timedelta(minutes=20 * number)) for number in range(4)),
    }
    return Alert(**(values | fields))


def near_miss(number: int, at: datetime = NOON, *, target: str = VELDARA, **fields: Any) -> NearMiss:
    """Returns a story that came near an event alert of a target. `fields` override the defaults.

    Args:
        number: chooses title and source, and identifies the story.
    """
    name, group = NAMES.get(target, (target, ""))
    story = evidence(number, name, at)
    values: dict[str, Any] = {
        "id": content_id("near-miss", target, str(number)),
        "target": target,
        "name": name,
        "groups": (group,) if group else (),
        "at": at,
        "reason": "threshold",
        "detail": "It is material with 0.41; 0.55 fires.",
        "story": story.story,
        "article": f"near-{number}",
        "title": story.title,
        "url": story.url,
        "source": story.source,
        "published_at": at,
        "seen_at": at,
        "text": story.text,
        "level": story.level,
        "adverse": story.adverse,
        "events": story.events,
        "family": "safety",
        "novelty": round(1 - number / 10, 1),
        "relevance": round(0.5 + number / 10, 1),
        "threshold": 0.55,
        "bundle": "fictional@1",
    }
    return NearMiss(**(values | fields))


INTRODUCTIONS = ("Regulators say ", "Court filings show ", "Workers report that ", "Two insurers warn that ")
LEAK = (
    "kept a leak at its Ostrava plant from inspectors for eleven weeks.",
    "faces claims of 240 million crowns from towns along the river.",
    "must halt its largest line until the tanks have been examined.",
    "has drawn on its whole credit line since Friday.",
)
HEADLINES = (
    "hid toxic leak from inspectors, regulator says",
    "sued by eleven towns over river spill",
    "ordered to halt largest plant",
    "draws entire credit line as suppliers ask for cash",
)
CALM = (
    ("opens second line in the north", 0.6),
    ("confirms its outlook for the year", 0.4),
    ("names new head of finance", 0.0),
    ("wins five-year supply contract", 0.7),
    ("quarterly revenue slightly below forecasts", -0.4),
    ("reports figures in line with forecasts", 0.1),
    ("faces short strike at one site", -0.5),
    ("to buy back shares", 0.5),
)


def messages(topic: Topic, records: Iterable[Record], start: int = 0, partition: int = 0) -> list[Message]:
    """Returns records as the messages of a partition, without keys, at consecutive offsets from `start`."""
    return [
        Message(topic, partition, offset, None, record.to_bytes())
        for offset, record in zip(count(start), records, strict=False)
    ]


def records_by_topic(end: datetime = NOON, days: int = 28, seed: int = 7) -> dict[Topic, list[Record]]:
    """Returns weeks of calm news of all companies, with a crisis at Veldara Chemicals in the last 20 hours.

    A story is reported by one to four articles. Each article has an analysis and a signal of its company, of the group
    and of the market. About one hour in twenty has a French article, whose analysis is `unsupported`. There are three
    alerts: Tirell's is resolved, Osmark's is firing, and that of the crisis has escalated and is still open.

    Args:
        end: no record is later.
        days: the length of the news before `end`. The alerts do not depend on it.
        seed: the same seed gives the same records.
    """
    dice = random.Random(seed)
    records: dict[Topic, list[Record]] = {
        Topic.ANALYSES: [],
        Topic.SIGNALS: [],
        Topic.TRENDS: [],
        Topic.ALERTS: [],
    }
    number = count()
    for hour in range(days * 24):
        at = end - timedelta(hours=days * 24 - hour) + timedelta(minutes=30)
        daytime = 0.35 + 0.65 * max(0.0, math.sin(math.pi * ((at.hour - 6) % 24) / 15)) if 6 <= at.hour < 21 else 0.1
        signals_by_target: dict[str, list[Signal]] = {}
        for target, (name, group) in NAMES.items():
            crisis = target == VELDARA and hour >= days * 24 - 20
            chance = 0.9 if crisis else 0.16 * daytime
            for _ in range(2 if crisis else 1):
                if dice.random() > chance:
                    continue
                story_number = next(number)
                if crisis:
                    headline, mean_score = HEADLINES[story_number % 4], -0.85
                    text = f"{name} {LEAK[story_number % 4]}"
                else:
                    headline, mean_score = dice.choice(CALM)
                    text = f"Shareholders heard on Monday that {name} {headline}."
                score = max(-0.97, min(0.97, dice.gauss(mean_score, 0.12)))
                seen = at + timedelta(minutes=dice.randint(-29, 29))
                for copy in range(1 + (dice.random() < (0.6 if crisis else 0.2)) * dice.randint(1, 3)):
                    label = f"{story_number}-{copy}"
                    source = SOURCES[(story_number + copy) % len(SOURCES)]
                    title = f"{name} {headline}"
                    common = {"source": source, "title": title, "story": content_id("story", str(story_number))}
                    moment = min(end, seen + timedelta(minutes=3 * copy))
                    mentions = (mention(name, score),)
                    records[Topic.ANALYSES].append(analysis(label, at=moment, score=score, mentions=mentions, **common))
                    span = Evidence(text=text, start=text.index(name), end=text.index(name) + len(name))
                    for target_of_signal in (target, f"group:{group}", "market"):
                        record = signal(label, target=target_of_signal, at=moment, score=score, evidence=span, **common)
                        if target_of_signal == "market":
                            record = record.model_copy(update={"name": "Market"})
                        elif target_of_signal.startswith("group:"):
                            record = record.model_copy(update={"name": group.title(), "groups": ()})
                        records[Topic.SIGNALS].append(record)
                        signals_by_target.setdefault(target_of_signal, []).append(record)
        for target, signals in signals_by_target.items():
            records[Topic.TRENDS].append(_point(target, at, signals))
        if dice.random() < 0.05:
            records[Topic.ANALYSES].append(
                analysis(
                    f"fr-{hour}",
                    at=at,
                    title="Les marchés restent calmes avant la décision de la banque centrale",
                    language="fr",
                    status="unsupported",
                    sentiment=None,
                    score=None,
                    topics=(),
                    story=None,
                )
            )
    opened = end - timedelta(hours=14)
    records[Topic.ALERTS] += [
        alert(
            "tirell", target="entity:tirell", severity="warning", at=end - timedelta(days=9), stories=3, surprise=4.0
        ),
        alert(
            "tirell",
            target="entity:tirell",
            severity="warning",
            status="resolved",
            opened_at=end - timedelta(days=9),
            at=end - timedelta(days=6),
            stories=0,
            surprise=0.2,
            summary="Tirell Motors: calm for 3 days; the episode is over.",
        ),
        alert(
            "osmark",
            target="entity:osmark",
            severity="high",
            at=end - timedelta(days=2, hours=3),
            stories=4,
            sources=3,
            surprise=4.4,
        ),
        alert("veldara", severity="high", at=opened, stories=4, surprise=4.9),
        alert(
            "veldara",
            severity="critical",
            status="escalated",
            tier="page",
            opened_at=opened,
            at=end - timedelta(hours=3),
            stories=19,
            sources=5,
            surprise=9.6,
            evidence=tuple(evidence(n, at=end - timedelta(hours=3, minutes=17 * n)) for n in range(6)),
        ),
    ]
    return records


def _point(target: str, at: datetime, signals: Sequence[Signal]) -> TrendPoint:
    """Returns the hourly trend point of a target from its signals of that hour, which may not be empty.

    Each story counts once, with its last signal. The surprise is made up: it grows with the negative stories, as does
    the nearest window.
    """
    stories = {signal.story: signal for signal in signals}.values()
    negative = round(sum(signal.sentiment.negative for signal in stories), 4)
    neutral = round(sum(signal.sentiment.neutral for signal in stories), 4)
    positive = round(sum(signal.sentiment.positive for signal in stories), 4)
    surprise = round(max(0.0, negative * 1.6 - 0.6), 2)
    return trend(
        at.replace(minute=0, second=0),
        target=target,
        name=signals[-1].name,
        length_s=3_600,
        stories=len(stories),
        articles=len(signals),
        negative=negative,
        neutral=neutral,
        positive=positive,
        score=round((positive - negative) / (negative + neutral + positive), 4),
        surprise=surprise,
        nearest=NearestWindow(
            window_s=21_600, stories=round(negative), min_stories=3, surprise=surprise, threshold=3.877
        ),
    )
