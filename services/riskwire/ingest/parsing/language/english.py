"""Counts the English and the foreign words of a text in Latin script, without its names.

The names of companies are foreign words in English headlines: "Société Générale sued over Zürich unit". Capitals show
names in text of the usual case, so only lower-case words are counted there. In Title Case and in capitals every word is
counted, and a word that is in no list may be a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

WORDS_FILE = Path(__file__).with_name("english_words.txt")
"""The English words, one a line; `build.py` writes them."""

_FOREIGN = (
    "als att au auch auf aus aux av avec bei che chi con da dal dans das degli dei del della delle dem den der "
    "det di dos du een ein eine einer el em en est et ett fra för für gli het ie il ist la las le les lo los "
    "mais med mit na naar nach nas ne nei nel nella nicht niet nos och og ook op os ou para pas po por pour på "
    "que qui sa se ses seu si sind som sont su sua sui sul suo sur til tra um un una und une uno ve vid von "
    "voor vor være wegen werden wie wird wordt y za zu zum zur är è é über"
)
FOREIGN_WORDS = frozenset(_FOREIGN.split())
"""Frequent function words of other languages that are no English words."""

_SHARED = (
    "a alert all am an art as at auto bank banking base bill book boy brand capital care case central chance "
    "chef club coach code company coup course crash data deal deals default design die digital director do "
    "dollar e effect empire er euro export fan far fast federal festival film final gas gates general gift "
    "global group handel has hotel i ii import in index info international investor job land last legal link "
    "live made main manager me media men model modern most name no non note o on online or park partner per "
    "plan plus police pop port portfolio post premium pro problem public real rest restaurant risk rock sector "
    "see so social son sport standard star start status stock stop stress suspend system tag team ten test "
    "total tour transport trend union urban van via video want war was west will wind"
)
SHARED_WORDS = frozenset(_SHARED.split())
"""English words that other languages have too. They count for neither side."""

_ABBREVIATIONS = frozenset(("ceo", "cfo", "coo", "ipo", "us", "uk", "eu"))
_PARTICLES = "da das de dei del della dello den der des di do dos du e el en la las le los van von y"
_NAME_PARTICLES = frozenset(_PARTICLES.split())
"""Words that connect the parts of a name: "Caisse des Dépôts", "Vale do Rio Doce"."""

_NO_PROSE = re.compile(r"https?://\S+|[$@#]\w+")
"""Links, cashtags, handles and hashtags, which have no language."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_MIN_WORD = 4
"""Letters of a word, or of a stem, that is long enough to tell a language."""
_MIN_LOWER_SHARE = 0.15
"""Least share of lower-case words in text of the usual case."""
_LAST_WORDS = 2
_ENDINGS = ("'s", "s", "es", "ed", "d", "ing")


@dataclass(frozen=True, slots=True)
class EnglishEvidence:
    """The counted words of a text.

    Attributes:
        cased: whether capitals show names, so that only lower-case words were counted.
        english: English words that other languages do not have.
        shared: words that English shares with other languages.
        foreign: function words of other languages.
        unlisted: other words; if not `cased`, these may be names.
        ends_in_english: whether one of the last words is English; a headline begins with its names.
        words: the counted words.
    """

    cased: bool
    english: int
    shared: int
    foreign: int
    unlisted: int
    ends_in_english: bool
    words: tuple[str, ...]

    @property
    def is_english(self) -> bool:
        """Whether the words are English."""
        not_english = self.foreign + self.unlisted
        if self.cased:
            return (self.english > 0 and self.english >= 2 * not_english) or (not_english == 0 and self.shared > 1)
        if self.foreign:
            return self.english > 2 * self.foreign and 2 * self.english >= self.unlisted
        if self.english < 2 or self.unlisted < 2:
            return self.english > 0 and self.unlisted <= 2
        return self.english > 2 or self.ends_in_english

    @property
    def may_be_english(self) -> bool:
        """Whether as many words are English as are not, without a foreign function word."""
        return self.cased and self.english > 0 and not self.foreign and self.unlisted <= self.english

    @property
    def is_foreign(self) -> bool:
        """Whether the words are of another language, though names may be among them."""
        not_english = self.foreign + self.unlisted
        if self.cased:
            return not_english > 0 and not_english >= self.english
        return self.foreign > self.english or (self.english == 0 and self.unlisted > 2)


def evidence_of(text: str) -> EnglishEvidence:
    """Returns the counts of the English and foreign words of a text."""
    words = _without_particles(_WORD.findall(_NO_PROSE.sub(" ", text)))
    lower = [word for word in words if word[0].islower()]
    cased = any(len(word) >= _MIN_WORD for word in lower) and len(lower) >= _MIN_LOWER_SHARE * len(words)
    if cased and words[0][0].isupper() and words[1:2] == lower[:1] and _is_english(words[0].casefold()):
        lower.insert(0, words[0])  # the first word of a sentence, not part of a name
    counted = tuple(word.casefold().replace("’", "'") for word in (lower if cased else words))
    foreign = sum(word in FOREIGN_WORDS for word in counted)
    shared = sum(word in SHARED_WORDS for word in counted)
    english = sum(_is_english(word) for word in counted)
    return EnglishEvidence(
        cased=cased,
        english=english,
        shared=shared,
        foreign=foreign,
        unlisted=len(counted) - foreign - shared - english,
        ends_in_english=any(_is_english(word) for word in counted[-_LAST_WORDS:]),
        words=counted,
    )


def _without_particles(words: list[str]) -> list[str]:
    """Returns the words without the particles of names: those between two capitalised words, the latter not English."""
    without_particles = []
    for index, word in enumerate(words):
        if word.casefold() in _NAME_PARTICLES:
            before = _first_other(words[index::-1])
            after = _first_other(words[index:])
            if after[:1].isupper() and not _is_english(after.casefold()) and (not before or before[0].isupper()):
                continue
        without_particles.append(word)
    return without_particles


def _first_other(words: list[str]) -> str:
    """Returns the first word that is no particle of names, or an empty string."""
    particles = sum(1 for _ in takewhile(lambda word: word.casefold() in _NAME_PARTICLES, words))
    return words[particles] if particles < len(words) else ""


def _is_english(word: str) -> bool:
    """Returns whether a word in lower case, or its stem, is an English word that other languages do not have."""
    if word in FOREIGN_WORDS or word in SHARED_WORDS:
        return False
    words = english_words()
    return (
        word in words
        or word in _ABBREVIATIONS
        or any(
            word.endswith(ending) and len(stem := word.removesuffix(ending)) >= _MIN_WORD and _is_stem(stem, ending)
            for ending in _ENDINGS
        )
    )


def _is_stem(stem: str, ending: str) -> bool:
    """Returns whether an English word is a stem with this ending; `-es` follows a sibilant only."""
    words = english_words()
    if ending == "es" and not stem.endswith(("s", "x", "z", "ch", "sh")):
        return False
    return stem in words or (ending == "ing" and stem + "e" in words)


@cache
def english_words() -> frozenset[str]:
    """Returns the English words of the list, in lower case."""
    return frozenset(WORDS_FILE.read_text(encoding="utf-8").split())
