"""What the store knows of a target from before it was watched, as signals. Pure.

Who is meant is told by the rules of linking as far as the store remembers: a name or alias that the mention's text
bears, the ISIN or the company that it was linked to, and whatever in the same article was linked to the same thing.
Sentiment, relevance and evidence are those of the signal that the article had for the very same thing, where it had
one; else the mentions' own, weighed as inference does, with the sentence of whatever signal quotes the name, else the
title, for evidence.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from riskwire.entities.names import join_key, name_key
from riskwire.entities.watchlist import WatchedEntity
from riskwire.inference.analysis import MARKET, group_target
from riskwire.inference.linking.companies import US, CompanyTable, agrees
from riskwire.inference.linking.watched import BARE_TICKER
from riskwire.inference.model.probabilities import mean, sentiment_of
from riskwire.records import Evidence, Sentiment, Signal
from riskwire.store import MentionSummary, PastArticle, PastSignal
from riskwire.story import bands, is_fingerprint, same_story
from riskwire.weights import relevance

ASKED = (MARKET,)
"""A target that every article has: its signal quotes a sentence."""
REPRINT = timedelta(days=3)
"""For this long what is told alike is the same story: alert remembers stories that long, too."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an entry is found by: the keys of its names, and the entities that the tables say it is."""

    keys: tuple[str, ...]
    entities: tuple[str, ...]


def terms(entry: WatchedEntity, companies: CompanyTable) -> Terms:
    """What the past mentions of an entry are found by."""
    names = (*entry.names, *(one for one in entry.tickers if len(one) >= BARE_TICKER))
    listed = (companies.by_ticker(US, one) for one in entry.tickers)
    entities = [
        *([f"isin:{entry.isin}"] if entry.isin else []),
        *(one.entity for one in listed if one and one.entity and any(agrees(name, one) for name in entry.names)),
    ]
    return Terms(tuple(dict.fromkeys(join_key(name_key(one)) for one in names)), tuple(dict.fromkeys(entities)))


def targets_of(entry: WatchedEntity) -> tuple[str, ...]:
    """The entry's own target, and that of its group."""
    return (entry.target, *([group_target(entry.group)] if entry.group else []))


def past_signals(
    entry: WatchedEntity,
    sought: Terms,
    articles: Iterable[PastArticle],
    told: Mapping[str, Sequence[tuple[str, datetime]]],
    most: int,
    lately: Mapping[str, Collection[str]],
) -> list[Signal]:
    """The signals of a target's past, oldest first: one a story, of the newest `most` stories.

    Args:
        articles: that mention it and have no signal of it.
        told: by target of the entry, its stories that are known, and when each was last told.
        lately: by target of the entry, articles that it was told of though their signals are not among those read.
    """
    own, *group = targets_of(entry)
    signals: list[Signal] = []
    articles = sorted(articles, key=lambda one: (one.seen_at, one.id))
    known = _Stories(_that_matter(told.get(own, ()), articles))
    known_of_group = _Stories(_that_matter(told.get(group[0], ()) if group else (), articles))
    for article in articles:
        signal = _signal(entry, own, sought, article)
        if signal is None or article.id in lately.get(own, ()):
            continue
        if known.add(article.story, article.seen_at):
            signals.append(signal)
        # Where the article speaks of the group already, another of its members was mentioned: that one counted.
        untold = bool(group) and article.id not in lately.get(group[0], ())
        untold = untold and all(one.target != group[0] for one in article.signals)
        if untold and known_of_group.add(article.story, article.seen_at):
            signals.append(signal.model_copy(update={"target": group[0], "name": entry.group}))
    newest = {one.article: None for one in reversed(signals)}
    kept = set(list(newest)[:most])
    return [one for one in signals if one.article in kept]


def _signal(entry: WatchedEntity, target: str, sought: Terms, article: PastArticle) -> Signal | None:
    meant = _meant(sought, article.mentions)
    if not meant:
        return None
    entities = {f"entity:{one.entity}" for one in meant}
    same = [one for one in article.signals if one.target in entities]
    weight, sentiment = _weighed(meant)
    if len(same) == len(entities) == 1:
        weight, sentiment = same[0].relevance, same[0].sentiment
    return Signal(
        target=target,
        name=entry.name,
        groups=(entry.group,) if entry.group else (),
        article=article.id,
        version=article.version,
        story=article.story,
        source=article.source,
        title=article.title,
        url=article.url,
        published_at=article.published_at,
        seen_at=article.seen_at,
        backfill=True,
        history=True,
        was_backfill=article.backfill,
        sentiment=sentiment,
        relevance=weight,
        evidence=_evidence(article, meant, same),
        bundle=article.bundle,
    )


def _meant(sought: Terms, mentions: Sequence[MentionSummary]) -> list[MentionSummary]:
    """The mentions of the entry, the weightiest first: by name or by entity, and short forms of what a name found."""
    by_name = {one.entity for one in mentions if one.key in sought.keys}
    meant = [one for one in mentions if one.entity in by_name or one.entity in sought.entities]
    return sorted(meant, key=lambda one: (-one.weight, one.sentence, one.key))


def _weighed(meant: Sequence[MentionSummary]) -> tuple[float, Sentiment]:
    shares = mean([(one.weight, (one.negative, one.neutral, one.positive)) for one in meant])
    return relevance(one.relevance for one in meant), sentiment_of(shares)


def _evidence(article: PastArticle, meant: Sequence[MentionSummary], same: Sequence[PastSignal]) -> Evidence:
    if same:
        return same[0].evidence
    for one in meant:
        if one.span is not None:
            return Evidence(text=article.title, start=one.span[0], end=one.span[1])
    for spoken in article.signals:
        for one in meant:
            at = spoken.evidence.text.find(one.text)
            if at >= 0:
                return Evidence(text=spoken.evidence.text, start=at, end=at + len(one.text))
    return Evidence(text=article.title, start=0, end=0)


def _that_matter(
    told: Iterable[tuple[str, datetime]], articles: Sequence[PastArticle]
) -> Iterator[tuple[str, datetime]]:
    """The stories that articles (in order of time) can repeat: a group may have told a hundred thousand others, and to
    look each of them up by what it is like takes seconds."""
    times, stories = [one.seen_at for one in articles], {one.story for one in articles}
    for story, at in told:
        first = bisect_left(times, at - REPRINT)
        if story in stories or (first < len(times) and times[first] <= at + REPRINT):
            yield story, at


class _Stories:
    """Stories and when each was told last."""

    def __init__(self, told: Iterable[tuple[str, datetime]]) -> None:
        self._told: dict[str, datetime] = {}
        self._by_band: dict[str, list[str]] = {}
        for story, at in told:
            self._keep(story, at)

    def add(self, story: str, at: datetime) -> bool:
        """Whether it is a story of its own at that time; from then on it is known."""
        alike = self._alike(story)
        own = all(abs(at - self._told[one]) > REPRINT for one in alike)
        self._keep(story, at)
        return own

    def _alike(self, story: str) -> set[str]:
        found = {story} & self._told.keys()
        if is_fingerprint(story):
            others = {other for band in bands(story) for other in self._by_band.get(band, ())}
            found |= {other for other in others if same_story(story, other)}
        return found

    def _keep(self, story: str, at: datetime) -> None:
        if story not in self._told and is_fingerprint(story):
            for band in bands(story):
                self._by_band.setdefault(band, []).append(story)
        self._told[story] = max(at, self._told.get(story, at))
