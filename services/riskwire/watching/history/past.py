"""Which signals a newly watched target gets from the store. Pure.

An article of the store is about the target if one of its mentions

- bears a name or an alias of the entry,
- was linked to the ISIN or the company of the entry, or
- was linked to the same entity as a mention in the same article that bears the name (a short form, for example).

If the article already had a signal of that very entity, the new signal copies its sentiment, level, event types,
relevance and evidence. If not, they are combined from the mentions, as inference does, and the evidence is the sentence
of any signal of the article that contains the name, else the title. Relevance then follows from the sentences alone,
because the store does not have the words around a name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from riskwire.entities.folded_words import phrase_spans
from riskwire.entities.names import join_key, name_key
from riskwire.entities.watchlist import WatchedEntity
from riskwire.inference.analysis import MARKET, group_target
from riskwire.inference.linking.companies import US, CompanyTable, agrees
from riskwire.inference.linking.watched import need_of_ticker
from riskwire.inference.model.probabilities import mean, sentiment_of
from riskwire.records import Evidence, Sentiment, Signal
from riskwire.store import MentionSummary, PastArticle, PastSignal
from riskwire.story import StoryIndex, is_fingerprint
from riskwire.weights import relevance
from riskwire.worst_mention import MentionRisk, worst_mention

EVIDENCE_TARGETS = (MARKET,)
"""Targets whose signals may provide evidence: every article has a signal of the market, which quotes a sentence."""
REPRINT = timedelta(days=3)
"""Similar articles within this time are one story. Alerting remembers stories as long."""


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """What the mentions of an entry are found by.

    Attributes:
        keys: normalised names (`join_key(name_key(name))`).
        entities: entity ids that the company tables give for the entry.
        exclude: phrases in which a mention is not of the entry, which are known for titles only.
    """

    keys: tuple[str, ...]
    entities: tuple[str, ...]
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownNews:
    """What a target has received before.

    Attributes:
        stories: its stories, as (fingerprint, time of the newest signal).
        unstored_articles: ids of articles whose signals were published and may not be in the store yet.
    """

    stories: Sequence[tuple[str, datetime]] = ()
    unstored_articles: Collection[str] = ()


def search_terms(entry: WatchedEntity, companies: CompanyTable) -> SearchTerms:
    """Returns the terms by which the store finds past mentions of an entry: normalised names and ids of entities.

    A ticker also counts as a name unless it may be a word. A US company with a ticker of the entry
    counts only if it agrees with a name of the entry, because tickers pass from company to company.
    """
    names = (*entry.names, *(ticker for ticker in entry.tickers if need_of_ticker(ticker) == "none"))
    keys = dict.fromkeys(join_key(name_key(name)) for name in names)
    entities = [f"isin:{entry.isin}"] if entry.isin else []
    for ticker in entry.tickers:
        company = companies.by_ticker(US, ticker)
        if company and company.entity and any(agrees(name, company) for name in entry.names):
            entities.append(company.entity)
    return SearchTerms(tuple(keys), tuple(dict.fromkeys(entities)), entry.exclude)


def group_target_of(entry: WatchedEntity) -> str | None:
    """Returns the target of an entry's group, or None for an entry without a group."""
    return group_target(entry.group) if entry.group else None


def past_signals(
    entry: WatchedEntity,
    terms: SearchTerms,
    articles: Iterable[PastArticle],
    known: Mapping[str, KnownNews],
    limit: int,
) -> list[Signal]:
    """Returns the signals of a target's past, oldest first: one for each story that the target has not received.

    A story is reported by similar articles, of which the oldest gives the signal. The group of the entry gets a signal
    as well, unless it received the article or the story before. An article whose signals may not be in the store yet
    (`KnownNews.unstored_articles`) gives none.

    Args:
        terms: the names and ids by which mentions of the entry are recognised.
        articles: articles that mention the entry and have no signal of its target, in any order.
        known: articles and stories that the entry's target and the target of its group have received, by target.
        limit: the most articles that give signals; the newest are kept.
    """
    group = group_target_of(entry)
    articles = sorted(articles, key=lambda article: (article.seen_at, article.id))
    own_news, group_news = known.get(entry.target, KnownNews()), known.get(group or "", KnownNews())
    own_stories = _KnownStories(_stories_in_reach(own_news.stories, articles))
    group_stories = _KnownStories(_stories_in_reach(group_news.stories, articles))
    signals: list[Signal] = []
    for article in articles:
        signal = _signal(entry, terms, article)
        if signal is None or article.id in own_news.unstored_articles:
            continue
        if own_stories.add(article.story, article.seen_at):
            signals.append(signal)
        if group is None or article.id in group_news.unstored_articles:
            continue
        # The article has a signal of the group when it mentions another member. The group received it then.
        received = any(past_signal.target == group for past_signal in article.signals)
        if not received and group_stories.add(article.story, article.seen_at):
            member = {"member": entry.target, "member_name": entry.name}
            of_group = {"target": group, "name": entry.group, "weight": 1.0}  # alert takes no weight from the past
            signals.append(signal.model_copy(update=of_group | member))
    newest_first = dict.fromkeys(signal.article for signal in reversed(signals))
    newest = set(list(newest_first)[:limit])
    return [signal for signal in signals if signal.article in newest]


def _signal(entry: WatchedEntity, terms: SearchTerms, article: PastArticle) -> Signal | None:
    """Returns the signal that a past article has of a newly watched entry; None if the article does not mention it.

    If all mentions of the entry are of one entity and the article has exactly one signal of that entity (under another
    id), its sentiment, level, event types and relevance are used; otherwise they are combined from the mentions. The
    signal is marked as history and backfill.
    """
    mentions = _mentions_of_entry(terms, article.mentions)
    mentions = [mention for mention in mentions if not _is_excluded(terms, article.title, mention)]
    if not mentions:
        return None
    targets = {f"entity:{mention.entity}" for mention in mentions}
    same_entity = [signal for signal in article.signals if signal.target in targets]
    if len(same_entity) == len(targets) == 1:
        weight, sentiment = same_entity[0].relevance, same_entity[0].sentiment
        level, events = same_entity[0].level, same_entity[0].events
    else:
        weight, sentiment = _combined(mentions)
        risks = [MentionRisk(mention.level, mention.events) for mention in mentions]
        level, events, _ = worst_mention(risks, article.adverse_from)
    evidence = _evidence(article, mentions, same_entity)
    title_decides = bool(same_entity) and evidence.text in article.title
    return Signal(
        target=entry.target,
        name=entry.name,
        groups=(entry.group,) if entry.group else (),
        article=article.id,
        version=article.version,
        story=article.story,
        source=article.source,
        publisher=article.publisher,
        title=article.title,
        url=article.url,
        published_at=article.published_at,
        seen_at=article.seen_at,
        backfill=True,
        history=True,
        was_backfill=article.backfill,
        sentiment=sentiment,
        level=level,
        adverse=None if level is None else level.adverse,
        events=events,
        adverse_from=article.adverse_from,
        relevance=weight,
        evidence=evidence,
        bundle=article.bundle,
        in_title=title_decides or not article.title,
        weight=entry.weight,
    )


def _mentions_of_entry(terms: SearchTerms, mentions: Sequence[MentionSummary]) -> list[MentionSummary]:
    """Returns the mentions of the watched entry in an article, those of the largest weight first.

    An entity that has one mention under a name of the entry is the entry in the whole article.
    """
    named = {mention.entity for mention in mentions if mention.key in terms.keys}
    matching = [mention for mention in mentions if mention.entity in named or mention.entity in terms.entities]
    return sorted(matching, key=lambda mention: (-mention.weight, mention.sentence, mention.key))


def _is_excluded(terms: SearchTerms, title: str, mention: MentionSummary) -> bool:
    """Returns whether a mention in a title is part of a phrase that the entry excludes."""
    return mention.span is not None and any(
        start < mention.span[1] and end > mention.span[0]
        for phrase in terms.exclude
        for start, end in phrase_spans(title, phrase)
    )


def _combined(mentions: Sequence[MentionSummary]) -> tuple[float, Sentiment]:
    """Returns the relevance and the sentiment of all mentions of an entry, combined as inference combines them."""
    shares = mean([(mention.weight, (mention.negative, mention.neutral, mention.positive)) for mention in mentions])
    return relevance(mention.relevance for mention in mentions), sentiment_of(shares)


def _evidence(article: PastArticle, mentions: Sequence[MentionSummary], same_entity: Sequence[PastSignal]) -> Evidence:
    """Returns the passage that shows how an article mentions the watched entry, for its signal.

    It is the first of: the evidence of a signal of the same entity; a mention in the title (`span` is its place); a
    mention in the evidence of another signal; the title without a highlighted mention. `start` and `end` of the result
    are the characters that are highlighted.
    """
    if same_entity:
        return same_entity[0].evidence
    for mention in mentions:
        if mention.span is not None:
            return Evidence(text=article.title, start=mention.span[0], end=mention.span[1])
    for signal in article.signals:
        for mention in mentions:
            start = signal.evidence.text.find(mention.text)
            if start >= 0:
                return Evidence(text=signal.evidence.text, start=start, end=start + len(mention.text))
    return Evidence(text=article.title, start=0, end=0)


def _stories_in_reach(
    stories: Iterable[tuple[str, datetime]], articles: Sequence[PastArticle]
) -> Iterator[tuple[str, datetime]]:
    """Yields the stories (fingerprint, time last seen) that one of the articles, sorted by time, may repeat.

    These are the stories last seen within `REPRINT` before or after an article, or with the fingerprint of one. A group
    may have a hundred thousand stories, and indexing them all takes seconds.
    """
    times, fingerprints = [article.seen_at for article in articles], {article.story for article in articles}
    for fingerprint, last_seen in stories:
        index = bisect_left(times, last_seen - REPRINT)
        if fingerprint in fingerprints or (index < len(times) and times[index] <= last_seen + REPRINT):
            yield fingerprint, last_seen


@dataclass(slots=True, eq=False)
class _KnownStory:
    """A story that a target has received.

    Attributes:
        last_seen: the time of its newest article.
    """

    fingerprint: str
    last_seen: datetime


class _KnownStories:
    """The stories that a target has received, with the time at which each was last seen."""

    def __init__(self, stories: Iterable[tuple[str, datetime]]) -> None:
        """Begins with known stories, as (fingerprint, time last seen); of equal fingerprints the latest time counts."""
        self._by_fingerprint: dict[str, _KnownStory] = {}
        self._index: StoryIndex[_KnownStory] = StoryIndex()
        for fingerprint, last_seen in stories:
            self._put(fingerprint, last_seen)

    def add(self, fingerprint: str, seen_at: datetime) -> bool:
        """Adds the story of an article; returns whether it is new: no similar story was seen within `REPRINT`."""
        is_new = all(abs(seen_at - story.last_seen) > REPRINT for story in self._similar(fingerprint))
        self._put(fingerprint, seen_at)
        return is_new

    def _similar(self, fingerprint: str) -> list[_KnownStory]:
        """Returns the known stories that a text with this fingerprint retells.

        Stories whose id does not have the form of a fingerprint are similar only if they are equal.
        """
        if is_fingerprint(fingerprint):
            return self._index.similar(fingerprint)
        story = self._by_fingerprint.get(fingerprint)
        return [] if story is None else [story]

    def _put(self, fingerprint: str, seen_at: datetime) -> None:
        """Adds a story by its fingerprint, or extends the time until which a known one was seen."""
        story = self._by_fingerprint.get(fingerprint)
        if story is not None:
            story.last_seen = max(story.last_seen, seen_at)
            return
        story = self._by_fingerprint[fingerprint] = _KnownStory(fingerprint, seen_at)
        if is_fingerprint(fingerprint):
            self._index.add(story)
