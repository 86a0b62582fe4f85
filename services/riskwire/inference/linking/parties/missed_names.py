"""Finds names that the model missed: single words of the tables, and unknown names that a sentence shows. Pure.

The model misses some names of which it saw nothing in training ("chain Gottschalks to liquidate"), and some that are
common words ("pushes Charter into bankruptcy"). A capital shows a name only in a sentence that is written small.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from riskwire.entities.common_words import is_common_word
from riskwire.inference.linking.context import (
    SMALL_WORD,
    is_longer_name,
    is_ordinary_span,
    is_written_small,
    shows_company,
)
from riskwire.inference.linking.parties.no_party import is_no_party
from riskwire.inference.linking.places import country, nationality, speaks_of_state
from riskwire.records import MentionType

_WORD = re.compile(r"(?<![\w.&@#$/-])(?:[A-Z]|e[A-Z]|i[A-Z]|\d[A-Z])[\w&]*(?:[-.][A-Z][\w&]*)*(?![\w/&])")
"""A word with a capital, also with a hyphen or a dot inside: "Post-Intelligencer", "Amazon.Com"."""
_CAPITAL_BEFORE = re.compile(r"(?:^|[\s(\"“'])([A-Z][\w.&-]*)[ -]$")
_CAPITAL_AFTER = re.compile(r" (?:&|[A-Z][\w-]+)")
_OPENING = re.compile(r"(?:^|[:;.!?\"“‘'] ?|\s[-–—]\s?)$")
_NAME = r"[A-Z][\w&.'’-]*(?: (?:of |and |& )?[A-Z][\w&.'’-]*){0,3}?"
_TRADE = (
    r"(?:chain|retailer|maker|\w*maker|lender|bank|insurer|reinsurer|brokerage|broker|builder|homebuilder|developer|"
    r"airline|carrier|miner|driller|operator|publisher|owner|venture|start-?up|supplier|distributor|grocer|restaurateur|"
    r"utility|casino|studio|startup|unit|subsidiary|affiliate|firm|company|group|rival|fund|conglomerate|steelmaker)"
)
_ENDS = r"(?=['’]s?\b|[.,:;!?)]|\s[a-z]|\s?$)"
_ACTS = (
    r"(?:to (?:file|liquidate|close|shut|sell|buy|cut|lay|default|delist|restructure|recall|pay|raise|seek|restate|"
    r"pursue|acquire|merge|go)|files?(?: for)?|filed|(?:may|could|will|to) (?:file|default|collapse)|liquidat\w+|"
    r"defaults?|collapses?|recalls?|goes (?:bust|under|bankrupt)|(?:seeks?|enters?|in) (?:bankruptcy|protection|"
    r"administration|receivership|Chapter 11)|shares?|stock|bonds|creditors|bondholders|bankruptcy|founders?|chairman|"
    r"CEO|CFO|bosses|boss)\b"
)
_ACTS_AFTER = re.compile(
    rf"(?:['’]s?)? (?:{_ACTS}|(?:delaying|closing|cutting|halting|laying|liquidating|restructuring|seeking|"
    r"selling|shutting|suspending)\b)"
)
_SURELY_NAME = 3
"""Common words with capitals within a sentence that are surely a name: "Home Federal Savings"."""
_PART = 3
"""Letters of each word of a compound."""
_SHOWN = (
    re.compile(rf"\b{_TRADE}s? (?P<name>{_NAME}){_ENDS}(?=\s(?:{_ACTS}|in [A-Z]))"),
    re.compile(rf"(?:^|[:;] )(?P<name>{_NAME}) (?={_ACTS})"),
    re.compile(
        r"\b(?:closes|shuts|seizes|seize|shut|close) (?P<name>[A-Z][\w.'’-]*(?: (?:of |and |& )?[A-Z][\w.'’-]*){0,5}"
        r"(?: Bank| Savings| Federal| Bancorp| Trust| Bank of [A-Z][\w ]*)?)(?= in [A-Z]|,|;|:|$)"
    ),
    re.compile(rf"['’]s? (?P<name>{_NAME}) (?=(?:ousts?|names|fires|{_ACTS}))"),
    re.compile(
        rf"\b(?:as|at|of|from) (?P<name>{_NAME}) (?=(?:chairman|chief|CEO|CFO|president|director|boss|board)\b)"
    ),
)
"""Contexts in which only the name of a company stands."""


def missed_names(
    sentence: str, is_taken: Callable[[int, int], bool], is_table_name: Callable[[str], bool]
) -> Iterator[tuple[int, int, MentionType]]:
    """Yields the spans of names that the model missed, and their types; they may overlap each other.

    Args:
        is_taken: whether a span overlaps a name that the model found.
        is_table_name: whether a single word is a name that the tables of parties have.
    """
    if SMALL_WORD.search(sentence) is None:
        return
    unread = False
    for word in _WORD.finditer(sentence):
        start, end = word.span()
        if is_taken(start, end):
            continue
        unread = unread or not is_common_word(word[0]) or not _opens(sentence, start)
        if is_table_name(word[0]):
            if _stands_alone(sentence, start, end):
                yield start, end, "ORG"
        elif word[0].count("-") == 1 and all(map(is_table_name, word[0].split("-"))):
            middle = sentence.index("-", start)
            yield start, middle, "ORG"
            yield middle + 1, end, "ORG"
        elif nationality(word[0]) and speaks_of_state(sentence, end):
            yield start, end, "MISC"
    for pattern in _SHOWN if unread else ():
        for match in pattern.finditer(sentence):
            start, end = match.span("name")
            if not is_taken(start, end) and _may_be_name(match["name"], opens=_opens(sentence, start)):
                yield start, end, "ORG"


def _opens(sentence: str, start: int) -> bool:
    return _OPENING.search(sentence, max(0, start - 3), start) is not None


def _stands_alone(sentence: str, start: int, end: int) -> bool:
    """Returns whether a name of the tables is no part of a longer one, and a common word shown to be a company."""
    before = _CAPITAL_BEFORE.search(sentence, max(0, start - 30), start)
    if (before and not _opens(sentence, before.start(1))) or is_longer_name(sentence, end):
        return False
    if not is_common_word(sentence[start:end]):
        return before is None or country(before[1]) is not None or nationality(before[1]) is not None
    if before or _CAPITAL_AFTER.match(sentence, end) or is_ordinary_span(sentence, start, end):
        return False
    if shows_company(sentence, start, end) or _ACTS_AFTER.match(sentence, end):
        return True
    return not _opens(sentence, start) and is_written_small(sentence)


def _may_be_name(name: str, *, opens: bool) -> bool:
    """Returns whether words with capitals may be an unknown name: no country, and not all common words."""
    if is_no_party(name) or country(name) or nationality(name):
        return False
    words = [word for word in re.split(r"[ -]", name) if word[:1].isupper()]
    if opens and len(words) == 1 and _is_compound(name):
        return False
    return not all(map(is_common_word, words)) or (len(words) >= _SURELY_NAME and not opens)


def _is_compound(word: str) -> bool:
    """Returns whether a word consists of two common words, such as "Drugmaker"; so it may be no name."""
    plain = word.removesuffix("s")
    return any(
        is_common_word(plain[:place]) and is_common_word(plain[place:])
        for place in range(_PART, len(plain) - _PART + 1)
    )
