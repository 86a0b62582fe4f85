"""Near-duplicate fingerprints: a wire item reprinted by forty sites is one story.

A fingerprint is two MinHash sketches of 16 values of 8 bits (Broder 1997; Li and König 2010 for b-bit values): one of
the title's words, one of the first words of the lead. Two articles are one story where either sketch agrees: the same
item under another headline keeps its lead, a feed without leads keeps its headlines. The whole is a pure function of
title and lead, so that it depends neither on the order of articles nor on the partition they came by.

Measured on the Reuters stream of 2009-2010 (`tests/bench/bench_story.py`), beside a 64-bit SimHash and one MinHash of
title and lead together; the thresholds were chosen there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import eq

import numpy as np

_VALUES = 16
_LEAD_WORDS = 20
_LEAST_LEAD_WORDS = 6
_SAME_TITLE = 12
"""Values of 16 that must agree for two titles to be one; titles are short, so more than for leads."""
_SAME_LEAD = 10
_NONE = "00" * _VALUES
_GAP = " "
SHARED_BANDS = {"t": _VALUES // 2 - (_VALUES - _SAME_TITLE), "l": _VALUES // 2 - (_VALUES - _SAME_LEAD)}

_STOP = frozenset(
    [
        *("a", "about", "after", "against", "also", "amid", "an", "and", "are", "as", "at", "be", "been", "but", "by"),
        *("could", "down", "for", "from", "had", "has", "have", "he", "her", "his", "i", "in", "into", "is", "it"),
        *("its", "may", "more", "new", "no", "not", "of", "on", "or", "out", "over", "said", "say", "says", "she"),
        *("than", "that", "the", "their", "they", "this", "to", "up", "us", "was", "we", "were", "which", "who"),
        *("will", "with", "would", "you"),
    ]
)
_PREFIX = re.compile(
    r"^(?:\s*(?:update|wrapup|refile|rpt|repeat|corrected|correction|exclusive|breaking|breaking news|analysis|brief|"
    r"live|watch|video|opinion|preview|snapshot|highlights|instant view|special report)\s*(?:\d{1,2}\s*)?[-:–—|]+\s*)+",
    re.IGNORECASE,
)
_SUFFIX = re.compile(
    r"(?<!\s)\s+[-–—|]\s+[A-Z][\w.&' ]{1,30}$|:\s*(?:[A-Z]{2,4}|reports?|sources?|papers?|official|analyst)\s*$",
    re.ASCII,
)
_SUFFIX_MARKS = ("-", "–", "—", "|", ":")
"""Without one of these there is nothing for `_SUFFIX`."""
_DATELINE = re.compile(
    r"^.{0,80}?\([A-Z][\w .]{1,25}\)\s*[-–—]+\s*|^[A-Z][A-Z ,/.]{2,60}(?:, \w+\.? \d{1,2})?\s*[-–—]+\s"
)
_TICKER = re.compile(r"\(\s*(?:[A-Z]{2,8}:\s*)?[A-Z0-9]{1,8}(?:\.[A-Z]{1,3})?\s*\)|<[^<>\s]{1,12}>")
_POSSESSIVE = re.compile(r"'s?\b")
_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_LONGEST = 2_000
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def fingerprint(title: str, lead: str) -> str:
    """64 hex digits: 32 of the title, 32 of the lead (its first 20 words that mean something); zeros where there are
    too few words to tell."""
    return fingerprints([(title, lead)])[0]


def fingerprints(articles: Sequence[tuple[str, str]]) -> list[str]:
    """The `fingerprint` of each (title, lead), for less than one by one: their hashes are compared all at once."""
    parts: list[list[str]] = []
    for title, lead in articles:
        lead_words = _lead_words(lead)
        parts += (_title_words(title), lead_words if len(lead_words) >= _LEAST_LEAD_WORDS else [])
    sketches = _sketches(parts)
    return [
        of_title + of_lead if of_title is not _NONE or of_lead is not _NONE else _wordless(title, lead) + _NONE
        for (title, lead), of_title, of_lead in zip(articles, sketches[::2], sketches[1::2], strict=True)
    ]


def _wordless(title: str, lead: str) -> str:
    return blake2b(f"{title}\n{lead}".encode("utf-8", "surrogatepass"), digest_size=_VALUES).hexdigest()


def is_fingerprint(story: str) -> bool:
    """Whether it is what `fingerprint` gives: what is none is like nothing else."""
    return _FINGERPRINT.fullmatch(story) is not None


def same_story(a: str, b: str) -> bool:
    """Whether two fingerprints are of one story."""
    if a == b:
        return True
    half = 2 * _VALUES
    return _agree(a[:half], b[:half]) >= _SAME_TITLE or _agree(a[half:], b[half:]) >= _SAME_LEAD


def bands(a: str) -> tuple[str, ...]:
    """Keys for a look-up, those of the title first: two fingerprints of one story are equal, or share at least as many
    keys of a kind (their first letter) as `SHARED_BANDS` says.

    For 12 of the 16 values of a title must agree, so both values of at least four of its eight pairs; of a lead 10,
    so two pairs.
    """
    halves = (("t", a[: 2 * _VALUES]), ("l", a[2 * _VALUES :]))
    return tuple(
        f"{part}{at // 4}:{sketch[at : at + 4]}"
        for part, sketch in halves
        if sketch != _NONE
        for at in range(0, len(sketch), 4)
    )


def _agree(a: str, b: str) -> int:
    if _NONE in {a, b}:
        return 0
    return sum(map(eq, bytes.fromhex(a), bytes.fromhex(b)))


def _title_words(title: str) -> list[str]:
    title = _without_beginning(_PREFIX, title[:_LONGEST])
    if any(mark in title for mark in _SUFFIX_MARKS):
        title = _SUFFIX.sub("", title)
    return _words(title)


def _lead_words(lead: str) -> list[str]:
    lead = _without_beginning(_DATELINE, lead[:_LONGEST].lstrip())
    if "(" in lead or "<" in lead:
        lead = _TICKER.sub(" ", lead)
    return _words(lead, _LEAD_WORDS)


def _without_beginning(beginning: re.Pattern[str], text: str) -> str:
    found = beginning.match(text)
    return text[found.end() :] if found else text


def _words(text: str, most: int = sys.maxsize) -> list[str]:
    """The first words that mean something, at most `most`; there may be more than characters, as in "ᾷ"."""
    plain = text.replace("’", "'").casefold()
    if "'" in plain:
        plain = _POSSESSIVE.sub("", plain)
    words: list[str] = []
    for token in plain.split():
        if token.isalnum():  # one word, as most are: no need to look into it
            if token not in _STOP:
                words.append(token)
        else:
            words += [word for word in _WORD.findall(token) if word not in _STOP]
        if len(words) >= most:
            break
    return words[:most]


def _sketches(parts: Sequence[Sequence[str]]) -> list[str]:
    """The sketch of each part; `_NONE` of one without words."""
    present = [words for words in parts if words]
    if not present:
        return [_NONE] * len(parts)
    hashes = np.frombuffer(b"".join([_hashes(word) for words in present for word in words]), "<u8")
    starts = np.cumsum([0, *map(len, present[:-1])])
    least = np.minimum.reduceat(hashes.reshape(-1, _VALUES), starts, axis=0).astype(np.uint8)
    sketches = iter(least.tobytes().hex(_GAP, _VALUES).split(_GAP))
    return [next(sketches) if words else _NONE for words in parts]


@lru_cache(maxsize=20_000)
def _hashes(word: str) -> bytes:
    """Sixteen hashes of a word, 64 bits each, the lowest byte first."""
    raw = word.encode("utf-8", "surrogatepass")
    digest = b"".join(blake2b(raw, digest_size=64, person=bytes([part])).digest() for part in range(_VALUES // 8))
    return np.frombuffer(digest, ">u8").astype("<u8").tobytes()
