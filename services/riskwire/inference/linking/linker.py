"""Links the mentions of a document to entities.

A mention is resolved by the first of these that finds an entity:

1. the watchlist;
2. a ticker that belongs to the mention and agrees with its name;
3. the exact names in the tables of companies;
4. a fuller name in the same article: "GM", "Moody" and "Nardelli" are short for "General Motors Corp", "Moody's Corp"
   and "Bob Nardelli";
5. the short names in the tables;
6. the normalised name.

Ids are `<watchlist id>`, `isin:US…`, `cik:0000320193` and `name:<slug>`. Pure: the result depends on the article, the
watchlist and the tables alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from riskwire.entities.common_words import is_common_word
from riskwire.entities.legal_forms import legal_forms
from riskwire.entities.names import acronyms, is_prefix, name_key
from riskwire.entities.watchlist import Watchlist
from riskwire.inference.linking.candidate import COMPANY_TYPES, Candidate, LinkedMention, is_proper
from riskwire.inference.linking.companies import CompanyTable, shipped_companies
from riskwire.inference.linking.followed import is_cut_off, is_named, is_party, is_thing, with_people
from riskwire.inference.linking.mentions import candidates
from riskwire.inference.linking.name_resolver import INITIALS, UNRESOLVED, NameResolver, Resolution
from riskwire.inference.linking.parties import PartyTable, shipped_parties
from riskwire.inference.linking.places import is_state_of_us, nationality, speaks_of_debtor, speaks_of_state
from riskwire.inference.linking.publishers import (
    RATER_OF_INDEX,
    credits_start,
    dateline_end,
    is_market_or_label,
    is_publisher,
    is_reported_on,
    names_rater,
    speaks_of_others,
)
from riskwire.inference.linking.watched import WatchedNames
from riskwire.inference.model.prediction import DocumentPrediction

_CACHED_NAMES = 16_384
"""Names whose resolution is cached."""
_MAX_COMPARED = 300
"""The first mentions of an article that are compared for short forms. Each is compared with each other one, and an
article with thousands of names is hostile; news has up to a hundred."""


@dataclass(slots=True)
class _Mention:
    """A mention that is being resolved."""

    candidate: Candidate
    text: str
    sentence: int
    resolution: Resolution = UNRESOLVED
    called: str = ""
    """The name that its text is short for in this sentence, if it alone means something else ("S&P")."""
    doubtful: bool = False
    """Whether it is a product with the name of a common word ("Edge"), and nothing else names its maker."""

    @property
    def entity(self) -> str:
        """The id of the entity; empty while it is unknown."""
        return self.resolution.entity


class _FullName(NamedTuple):
    """A mention that others may be short for, with the words of its name and its initials."""

    key: tuple[str, ...]
    initials: frozenset[str]
    mention: _Mention


class Linker:
    """Resolves the mentions of articles against a watchlist and the tables of companies."""

    def __init__(self, watchlist: Watchlist | None = None, companies: CompanyTable | None = None) -> None:
        """Prepares a linker; by default nothing is watched, and companies are those of the shipped table.

        The shipped tables of parties count only with the shipped table of companies.
        """
        self.watchlist = watchlist or Watchlist()
        self.group_weights = self.watchlist.group_weights()
        self._watched = WatchedNames(self.watchlist)
        self._companies = companies or shipped_companies()
        self._parties = shipped_parties() if self._companies is shipped_companies() else PartyTable(self._companies)
        self._resolver = NameResolver(self._watched, self._companies, self._parties)
        # Most names recur, and the resolution of a name by itself never changes.
        self._resolve_name = lru_cache(maxsize=_CACHED_NAMES)(self._resolver.resolve_name)
        self._known = lru_cache(maxsize=_CACHED_NAMES)(self._resolver.knows)
        self._resolve_fallback = lru_cache(maxsize=_CACHED_NAMES)(self._resolver.resolve_fallback)

    @property
    def companies(self) -> CompanyTable:
        """The tables of companies."""
        return self._companies

    def link(self, prediction: DocumentPrediction, day: date | None = None) -> list[LinkedMention]:
        """Returns the mentions of a document that have an entity, in order, each with its entity and sentiment.

        Each name is first resolved by itself, if that is certain; then as a short form of a fuller name in the same
        document; then by short company names or as the name itself. A mention without an entity is left out.

        Args:
            day: the day of the article, on which its names are understood; None for today.
        """
        era = self._parties.era(day)
        mentions = self._mentions(prediction)
        for mention in mentions:
            candidate = mention.candidate
            if candidate.mark is None and candidate.watched is None:
                mention.resolution = self._resolve_name(mention.called or mention.text, candidate.kind, era)
            else:
                mention.resolution = self._resolver.resolve_certain(mention.text, candidate, era)
        mentions = _confirmed(mentions)
        _exclude(mentions)
        self._resolve_other_forms(mentions, era)
        if len(mentions) > 1:
            self._resolve_short_forms(prediction, mentions[:_MAX_COMPARED], era)
        for mention in mentions:
            if not mention.entity:
                mention.resolution = self._resolve_fallback(mention.text, mention.candidate.kind, era)
        _exclude(mentions)
        _mark_doubtful(mentions)
        dateline = _dateline(prediction) if mentions else range(0)
        end = credits_start(prediction.document.content) if mentions else 0
        named = _named_entities(prediction, mentions)
        linked = [_linked(prediction, mention, dateline, end, named) for mention in mentions if mention.entity]
        return with_people(linked, prediction.document.content) if prediction.titled else linked

    def _mentions(self, prediction: DocumentPrediction) -> list[_Mention]:
        """Returns the mentions of names in an article, by sentence, without an entity yet.

        They are names that the model found, ticker marks such as "(NYSE:GM)", and names of the watchlist. A possessive
        that is part of a company's own name belongs to the mention, as in "McDonald's".
        """
        content = prediction.document.content
        mentions: list[_Mention] = []
        for index, sentence in enumerate(prediction.sentences):
            text = content[sentence.span.start : sentence.span.end]
            for trimmed_candidate in candidates(
                text,
                sentence.prediction.names,
                self._watched,
                self._companies,
                self._parties,
                self._known,
                title=sentence.span.is_title,
            ):
                candidate = _with_own_possessive(text, trimmed_candidate, self._resolver.owns_possessive)
                called = RATER_OF_INDEX if names_rater(text, candidate.start, candidate.end) else ""
                mentions.append(_Mention(candidate, text[candidate.start : candidate.end], index, called=called))
        return mentions

    def _resolve_other_forms(self, mentions: Sequence[_Mention], era: date | None) -> None:
        """Resolves names of one common word as the company whose legal form the article states, if no table has it.

        Where the article has "Delta Corp", which is not Delta Air Lines, "Delta" is Delta Corp, too.
        """
        formed: dict[tuple[str, ...], _Mention] = {}
        for mention in mentions:
            key = name_key(mention.text)
            if not mention.entity and len(key) == 1 and is_common_word(key[0]) and legal_forms(mention.text):
                formed.setdefault(key, mention)
        for mention in mentions if formed else ():
            full = formed.get(name_key(mention.text))
            if full is not None and mention.candidate.mark is None and not legal_forms(mention.text):
                mention.resolution = self._resolve_fallback(full.text, full.candidate.kind, era)

    def _resolve_short_forms(
        self, prediction: DocumentPrediction, mentions: Sequence[_Mention], era: date | None
    ) -> None:
        """Resolves names that are short for a fuller name of the same article, if only one entity fits.

        It changes the mentions in place. Only mentions without an entity, or with a weak one (found by a single word),
        are resolved. A fuller name that has no entity yet gets one as the last resort does. A person or place that is
        short for an organisation becomes an organisation, too.
        """
        full_names = [
            _FullName(name_key(mention.text), _initials(mention), mention)
            for mention in mentions
            if mention.candidate.kind in {"ORG", "PER"} and is_proper(mention.text) and not is_publisher(mention.text)
        ]
        for mention in mentions:
            if mention.entity and not mention.resolution.weak:
                continue
            if is_publisher(mention.text) or is_market_or_label(mention.text):
                continue
            key = name_key(mention.text)
            undotted = mention.text.replace(".", "")
            initials = undotted if INITIALS.fullmatch(undotted) else ""
            fits = [
                full.mention
                for full in full_names
                if full.mention is not mention and _is_short_for(mention, key, initials, full)
            ]
            for full_mention in fits:
                if not full_mention.entity:
                    full_mention.resolution = self._resolve_fallback(
                        full_mention.text, full_mention.candidate.kind, era
                    )
            by_entity = {full.entity: full for full in reversed(fits) if full.entity and _is_whole(full, prediction)}
            if len(by_entity) == 1:
                (full_mention,) = by_entity.values()
                mention.resolution = full_mention.resolution._replace(weak=mention.resolution.weak)
                if mention.candidate.kind != full_mention.candidate.kind:
                    mention.candidate = replace(mention.candidate, kind=full_mention.candidate.kind)


def _exclude(mentions: Iterable[_Mention]) -> None:
    """Removes the entity of each mention that is in a phrase which that watchlist entry excludes."""
    for mention in mentions:
        if mention.resolution.watched is not None and mention.resolution.watched in mention.candidate.excluded:
            mention.resolution = UNRESOLVED


def _mark_doubtful(mentions: Sequence[_Mention]) -> None:
    """Marks the products with the name of a common word whose maker the article does not name otherwise."""
    for mention in mentions:
        if mention.resolution.product and all(map(is_common_word, mention.text.split())):
            mention.doubtful = not any(
                other.entity == mention.entity and not other.resolution.product for other in mentions
            )


def _confirmed(mentions: Sequence[_Mention]) -> list[_Mention]:
    """Returns the mentions without those that nothing supports.

    A possible mention of a watchlist entry ("Target" at the start of a title) is confirmed where the article has
    another mention of that entry. Otherwise it never gets that entity, and is dropped if only the watchlist had it.
    """
    sure = {
        mention.entity
        for mention in mentions
        if mention.resolution.watched
        and not mention.candidate.possible
        and mention.resolution.watched not in mention.candidate.excluded
    }
    confirmed = []
    for mention in mentions:
        entity = mention.candidate.possible
        if entity is not None and entity.id in sure and entity not in mention.candidate.excluded:
            mention.resolution = Resolution(entity.id, entity.name, entity)
        elif mention.candidate.only_possible:
            continue
        elif entity is not None:
            mention.candidate = replace(mention.candidate, excluded=(*mention.candidate.excluded, entity))
        confirmed.append(mention)
    return confirmed


def _dateline(prediction: DocumentPrediction) -> range:
    """Returns the offsets of the dateline ("DETROIT (Reuters) - ") in the document; empty when the text has none.

    A dateline begins the first sentence that is not the title.
    """
    for sentence in prediction.sentences:
        if not sentence.span.is_title:
            start = sentence.span.start
            return range(start, start + dateline_end(prediction.document.content[start : sentence.span.end]))
    return range(0)


def _linked(
    prediction: DocumentPrediction, mention: _Mention, dateline: range, text_end: int, named: set[str]
) -> LinkedMention:
    """Returns a mention with its entity, its place in the article, and what the sentence says of it.

    Only followed mentions become signals. A mention is followed if its entity is on the watchlist, or if it is a
    target that is neither in the dateline nor a news agency. A target is a country; a party of the tables; or a company
    or organisation that is no market, label or other name of no party. One without an id of the tables (`name:`) must
    be written as a name, not be a mere ticker, and not be cut off at the end of the text. `speaker` says that it is
    mentioned only as rating or commenting on others.

    Args:
        dateline: the offsets in the document of the place and agency at the start of the text.
        text_end: the offset from which on the article only credits its reporters.
        named: the entities without a party of the tables that some mention surely names.
    """
    sentence = prediction.sentences[mention.sentence]
    span, candidate, resolution = sentence.span, mention.candidate, mention.resolution
    text = prediction.document.content[span.start : span.end]
    kind = candidate.kind
    start, end = span.start + candidate.start, span.start + candidate.end
    is_target = not mention.doubtful and is_party(mention.called or mention.text, kind, resolution)
    if is_target and resolution.country:
        is_target = nationality(mention.text) is None or speaks_of_state(text, candidate.end)
    elif not resolution.party and is_state_of_us(mention.text):
        is_target = speaks_of_debtor(text, candidate.end)
    elif is_target and (not resolution.party or resolution.weak):
        is_target = mention.entity in named
    whole = resolution.party and " " in mention.text  # "Huntington Bancshares" before the "In" of "Inc"
    is_target = is_target and not is_cut_off(prediction.document, end, goes_on=not whole, joins=not resolution.party)
    ignored = (
        start in dateline
        or start >= text_end
        or (is_publisher(mention.text) and not is_reported_on(text, candidate.start, candidate.end))
    )
    predicted = sentence.prediction.of_span(candidate.start, candidate.end)
    return LinkedMention(
        start=start,
        end=end,
        text=mention.text,
        type=kind,
        sentence=mention.sentence,
        entity=resolution.entity,
        name=resolution.name,
        sentiment=predicted.sentiment,
        level=predicted.level,
        events=predicted.events,
        watched=resolution.watched,
        followed=resolution.watched is not None or (is_target and not ignored),
        speaker=kind in COMPANY_TYPES and speaks_of_others(text, candidate.start, candidate.end),
        country=resolution.country,
        institution=resolution.institution,
        parent=resolution.parent,
    )


def _named_entities(prediction: DocumentPrediction, mentions: Sequence[_Mention]) -> set[str]:
    """Returns the entities that some mention of the article surely names, for those that no table has.

    So "Acme" is the party where the same article has "Acme Corp", and a mere common word where nothing supports it.
    """
    named: set[str] = set()
    things: set[str] = set()
    for mention in mentions:
        if not mention.resolution.party or mention.resolution.weak:
            span = prediction.sentences[mention.sentence].span
            text = prediction.document.content[span.start : span.end]
            start, end = mention.candidate.start, mention.candidate.end
            if is_named(text, start, end):
                named.add(mention.entity)
            elif is_thing(text, start, end):
                things.add(mention.entity)
    return named - things


def _is_short_for(mention: _Mention, key: tuple[str, ...], initials: str, full: _FullName) -> bool:
    """Returns whether a mention can be a short form of a fuller name.

    A person is short for a person by the last name. A person or place is short for another name only if that one is
    sure (with a ticker mark, watched, or with an ISIN): for an equal one, and a person also for one that begins with
    its words. Any other mention is short for an organisation by its first words or its initials.

    Args:
        key: the normalised words of the mention's name.
        initials: the mention's text when it can be initials, otherwise empty.
    """
    begins = is_prefix(key, full.key) and full.key[len(key)] != "and"
    kind, full_kind = mention.candidate.kind, full.mention.candidate.kind
    if kind in {"PER", "LOC"}:
        if kind == "PER" and full_kind == "PER":
            return _is_last_name(key, full.key)
        watched = full.mention.resolution.watched is not None
        sure = full.mention.candidate.mark is not None or watched or full.mention.entity.startswith("isin:")
        return sure and (key == full.key or (begins and kind == "PER"))
    if kind == "ORG" and full_kind == "PER":
        return mention.resolution.weak and _is_last_name(key, full.key)
    same = key == full.key and not mention.entity and full.mention.resolution.party
    return full_kind == "ORG" and (begins or same or initials in full.initials)


def _is_whole(mention: _Mention, prediction: DocumentPrediction) -> bool:
    """Returns whether the end of the text does not cut a name that no table has ("Madoff Sec")."""
    end = prediction.sentences[mention.sentence].span.start + mention.candidate.end
    return mention.resolution.party or not is_cut_off(prediction.document, end)


def _is_last_name(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    return len(short) == 1 and len(long) > 1 and long[-1] == short[0]


def _initials(mention: _Mention) -> frozenset[str]:
    """Returns the initials that can be short for a mention: those of its words, and the symbol of its ticker mark."""
    mark = mention.candidate.mark
    initials = acronyms(mention.text)
    return initials | {mark.symbol} if mark is not None else initials


def _with_own_possessive(sentence: str, candidate: Candidate, owns: Callable[[str], bool]) -> Candidate:
    """Returns a candidate with the 's that trimming cut off, if it is part of the name: "Moody's", "Macy's".

    Args:
        owns: whether the 's at the end of a name belongs to it; asked only for a company or an instrument.
    """
    after = sentence[candidate.end : candidate.end + 2]
    if after not in {"'s", "’s"} or candidate.kind not in COMPANY_TYPES:
        return candidate
    extended = sentence[candidate.start : candidate.end + 2]
    return replace(candidate, end=candidate.end + 2) if owns(extended) else candidate
