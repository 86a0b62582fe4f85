"""What a sentence says for or against a common word being the name of a company. Pure.

"Target" names the company in "Target misses estimates" and not in "Target price cut by Goldman". A capital shows a name
only within a sentence that is written with small letters. Elsewhere, words of business around it can show one.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cache, lru_cache
from pathlib import Path

from riskwire.entities.common_words import is_common_word
from riskwire.entities.family_names import is_family_name, person_end
from riskwire.entities.folded_words import FoldedWords, folded_words

_PHRASES = Path(__file__).with_name("tables") / "ordinary_phrases.tsv"
_MODIFIERS = frozenset(
    [
        *("all", "any", "applied", "best", "big", "both", "capital", "cost", "costs", "digital", "each", "every"),
        *("fast", "first", "gap", "general", "global", "good", "great", "high", "imperial", "key", "last", "low"),
        *("main", "many", "more", "most", "national", "net", "new", "next", "now", "old", "on", "one", "only", "open"),
        *("other", "our", "own", "prudential", "public", "republic", "same", "so", "some", "southern", "such"),
        *("target", "that", "this", "top", "total", "united", "waste", "well", "what", "why", "you"),
    ]
)
"""Words that describe the noun after them, or that rise and fall: "Next CEO", "Total sales", "Gap narrows"."""
_NOUNS = (
    r"shares?|stocks?|earnings|profits?|revenues?|results|investors?|shareholders?|dividends?|guidance|execs?|executives?|"
    r"bonds?|stores?|lawsuits?|quarterly|CEO|CFO|COO|Q[1-4]|IPO|EPS|chief|chairman|boss|founder|analysts?|rating"
)
_MOVES = (
    r"falls?|fell|rises?|rose|tumbles?|tumbled|slumps?|slumped|surges?|surged|drops?|dropped|slides?|slid|gains?|gained|"
    r"jumps?|jumped|sinks?|sank|plunges?|plunged|rallies|rallied|soars?|soared|climbs?|climbed|slips?|slipped|dips?|"
    r"dipped|trades|closes?|closed|invests?|leads?|signs?|wins?|loses?|faces?|opens?|adds?|hits?|pays?|seeks?|joins?"
)
_ACTS = (
    r"misses|missed|beats|tops|topped|posts|posted|reports|reported|announces|announced|says|said|warns|warned|sees|"
    r"expects|unveils|unveiled|launches|launched|sued|sues|acquires?|acquired|buys|bought|names|appoints|appointed|"
    r"recalls|recalled|reaffirms|declares|declared|swings|files|filed|agrees|agreed|hires|lays\s+off|"
    r"downgraded|upgraded|initiated|reiterated|rejects|rejected|partners|scraps|halts|settles|settled|denies|plans|to\s+(?:buy|"
    r"acquire|sell|cut|invest|pay|open|close|launch|create|build|hire|spin|merge|lay|raise|report|appeal|settle|recall)|"
    r"(?:cuts?|raises?|raised|lowers?|lowered|lifts?|trims?|slashes|hikes?|withdraws?|maintains?|slashed)\s+(?:\w+\s+)?"
    r"(?:outlook|forecasts?|guidance|dividends?|jobs|workforce|staff|prices|stake|profit|targets?|views?|full|\d[\d,]*)"
)
_FORMS = (
    r"Inc|INC|Corp|CORP|Corporation|CORPORATION|Company|Companies|Cos|Co|CO|Ltd|LTD|Limited|plc|PLC|"
    r"SA|AG|NV|SE|LLC|Holdings|Group"
)
_ANY_AFTER = re.compile(rf",?\s+(?:{_FORMS})\b|\s+(?i:{_ACTS})\b")
_NOUN_AFTER = re.compile(
    rf"\s+(?:(?:{_NOUNS}|{_MOVES})\b|\(\s*[$A-Z])|['’]s?\s|\s:\s|-(?:led|backed|owned|listed)\b|\s*[:,]\s+Q[1-4]", re.I
)
_SURELY_AFTER = re.compile(rf"['’]s\s|\s:\s|\s+shares\s+(?:\w+\s+)?(?:{_MOVES})", re.IGNORECASE)
"""What shows even a word of `_MODIFIERS` to be a company."""
_INSTITUTION_AFTER = re.compile(
    rf",?\s+(?:{_FORMS})\b|\s+(?:CEO|CFO|COO|chief\s+executive|earnings|profits?|revenues?|dividends?|shareholders?|says|said|"
    r"names|appoints|agrees|acquires|buys|to\s+(?:buy|acquire|sell|cut|pay|launch|hire))\b"
)
_PREVIOUS = re.compile(r"(?:^|(?<=[\s(]))([A-Z][a-z]+)\s$")
_TICKER_AFTER = re.compile(r"\s+(?:shares?|stocks?|earnings|profits?|dividends?|revenues?|Q[1-4])\b", re.IGNORECASE)
_SHARES_OF = re.compile(r"\b(?:shares|stock|stake|investors|position)\s+(?:of|in)\s+$", re.IGNORECASE)
_LIST = re.compile(r"\s*(?:[,/&]\s*(?:(?:and|&)\s+)?|\s(?:and|or|vs\.?)\s+)", re.IGNORECASE)
_GOES_ON = re.compile(
    r"\s+(?:[A-Z]\w+\s+){0,2}(?:Acquisition|Arena|Bowl|Cent(?:er|re)|College|Dollar\s+Index|ETFs?|Foundation|Funds?|Futures|"
    r"Hospital|Index|Museum|Park|Stadium|Street|Theat(?:er|re)|Trust|University)\b"
)
_BEFORE = re.compile(
    r"(?:\b(?:shares?|stocks?|stakes?|owner|CEO|CFO|chief|chairman|founder|parent|unit|investors?|analysts?|bonds|buying|"
    r"results?|profits?|earnings|revenues?)\s+(?:of|in|at|by|from)|\b(?:\w*maker|giant|retailer|insurer|lender|carmaker|"
    r"automaker|airline|rival|major|chain|miner|firm|group|supplier|startup|software|utility|bank|operator)|"
    r"\bby\s+rival|\b(?:sues|acquires|sued|downgrades|upgrades))\s+$",
    re.IGNORECASE,
)
_PERSON_BEFORE = re.compile(
    r"(?:['’]s|s['’]|\b(?:Mrs?|Ms|Dr|Prof|Sen|Gov|Rep|President|Governor|Senator|Congressman|Judge|Justice|Secretary|Minister|"
    r"Commissioner|Director|Chair|Chairman|Chairwoman|CEO|CFO|analyst|economist|strategist|trader|lawyer)\.?)\s+$",
    re.IGNORECASE,
)
_STARTS = re.compile(r"(?:^|[.!?:;–—|\"“‘(\[•>*]|\s-|['’](?=$))\s*$")
_CAPITAL_BEFORE = re.compile(r"[A-Z][\w.&]*[ -]$")
_CAPITAL_AFTER = re.compile(r"[ -][A-Z]|-\w")
_LONG = 4
"""Letters of a word that is written small unless the sentence is in Title Case."""
_BEFORE_CHARACTERS = 40
SMALL_WORD = re.compile(
    r"(?<![\w'’-])(?!(?:about|above|after|against|amid|among|before|below|between|despite|from|into|near|onto|over|than|"
    r"that|through|under|until|unto|upon|versus|when|with|without)\b)[a-z]{4,}\b"
)
"""A word that Title Case writes with a capital."""


@cache
def _ordinary_phrases() -> dict[str, tuple[tuple[tuple[str, ...], int], ...]]:
    """Returns for each common word the phrases in which it is no company: their words, and its place in them."""
    phrases: dict[str, tuple[tuple[tuple[str, ...], int], ...]] = {}
    for line in _PHRASES.read_text(encoding="utf-8").splitlines():
        word, _, text = line.partition("\t")
        if line.startswith("#"):
            continue
        split = [tuple(phrase.split()) for phrase in text.replace("'s", " 's").split("|")]
        phrases[word] = tuple(
            (words, place) for words in split for place, part in enumerate(words) if part.rstrip("*") == word
        )
    return phrases


def is_ordinary(words: FoldedWords, index: int) -> bool:
    """Returns whether the word at an index is part of an ordinary phrase, such as "apple" in "apple pie"."""
    for phrase, place in _ordinary_phrases().get(words.words[index], ()):
        first = index - place
        if first >= 0 and len(words.words) >= first + len(phrase):
            window = words.words[first : first + len(phrase)]
            if all(
                word.startswith(part[:-1]) if part.endswith("*") else word == part
                for word, part in zip(window, phrase, strict=True)
            ):
                return True
    return False


def is_ordinary_span(sentence: str, start: int, end: int) -> bool:
    """Returns whether a span is a single word within an ordinary phrase of its sentence."""
    if sentence[start:end].casefold() not in _ordinary_phrases():
        return False
    words = folded_words(sentence)
    index = bisect_left(words.starts, start)
    return index < len(words.starts) and words.starts[index] == start and is_ordinary(words, index)


def _before(sentence: str, start: int) -> str:
    """Returns the characters before an offset; of a long sentence only the last ones, after a letter."""
    first = start - _BEFORE_CHARACTERS
    return sentence[:start] if first <= 0 else "x" + sentence[first:start]


def is_longer_name(sentence: str, end: int) -> bool:
    """Returns whether a name goes on after `end` with what is no company of that name: "Duke University", "MS Fund"."""
    return _GOES_ON.match(sentence, end) is not None


def shows_ticker(sentence: str, start: int, end: int, *, organisation: bool) -> bool:
    """Returns whether the words around a bare ticker show that it is one: "Shares of UPS fell", "ICE profit drops".

    Args:
        organisation: whether the model takes it for an organisation. Alone that shows nothing: authorities, programmes
            and diseases have short names, too ("ED questions brothers", "MS trial").
    """
    if _SHARES_OF.search(_before(sentence, start)):
        return True
    return organisation and _TICKER_AFTER.match(sentence, end) is not None


def in_list(between: str) -> bool:
    """Returns whether the text between two names shows them to be of one list: a comma, "and", or both."""
    return _LIST.fullmatch(between) is not None


def shows_institution(sentence: str, end: int) -> bool:
    """Returns whether the words after an index show that the company of its name is meant: "Nasdaq CEO", "MSCI Inc"."""
    return _INSTITUTION_AFTER.match(sentence, end) is not None


def shows_company(sentence: str, start: int, end: int) -> bool:
    """Returns whether the words around a common word, or its capital, show that it names a company.

    A word that describes the noun after it (`_MODIFIERS`) is shown by less: "Next CEO" is no company, "Next plc" is.
    The second word of a name shows none ("Owens Corning wins").
    """
    previous = _PREVIOUS.search(_before(sentence, start))
    if previous and not previous[1].isupper() and not is_common_word(previous[1]):
        return False
    if _ANY_AFTER.match(sentence, end) or _BEFORE.search(_before(sentence, start)):
        return True
    modifier = sentence[start:end].casefold() in _MODIFIERS
    if (_SURELY_AFTER if modifier else _NOUN_AFTER).match(sentence, end):
        return True
    return not modifier and capital_shows_name(sentence, start, end)


def names_person(sentence: str, start: int, end: int) -> bool:
    """Returns whether a watchlist name is that of a person: "BP Singh", "Fed's Williams", "Governor Williams"."""
    if person_end(sentence, start, end) > end:
        return True
    return is_family_name(sentence[start:end]) and _PERSON_BEFORE.search(_before(sentence, start)) is not None


def capital_shows_name(sentence: str, start: int, end: int) -> bool:
    """Returns whether the capital of a word shows a name: within a sentence whose other words are written small.

    It shows none at the start of a sentence, after a colon or dash, in Title Case, in capitals, and beside another word
    with a capital, since the name may be longer.
    """
    word = sentence[start:end]
    if not word[:1].isupper() or (word.isupper() and len(word) > 1) or _STARTS.search(_before(sentence, start)):
        return False
    if _CAPITAL_BEFORE.search(_before(sentence, start)) or _CAPITAL_AFTER.match(sentence, end):
        return False
    return not in_title_case(sentence)


def is_written_small(sentence: str) -> bool:
    """Returns whether a sentence has two long words in small letters, so that a capital shows a name."""
    first = SMALL_WORD.search(sentence)
    return first is not None and SMALL_WORD.search(sentence, first.end()) is not None


@lru_cache(maxsize=256)
def in_title_case(sentence: str) -> bool:
    """Returns whether a sentence capitalises ordinary words: less than two thirds of its long words begin small.

    Links and words with digits do not count. A sentence with fewer than two long words counts as in Title Case.
    """
    long = [word for word in sentence.split() if len(word) >= _LONG and word.rstrip(".,:;!?'\"’”)").isalpha()]
    small = sum(word[0].islower() for word in long)
    return small < 2 or small * 3 < len(long) * 2
