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
    r"live|watch|video|opinion|preview|snapshot|highlights|instant view|special report)\s*\d{0,2}\s*[-:–—|]+\s*)+",
    re.IGNORECASE,
)
_SUFFIX = re.compile(
    r"\s+[-–—|]\s+[A-Z][\w.&' ]{1,30}$|:\s*(?:[A-Z]{2,4}|reports?|sources?|papers?|official|analyst)\s*$", re.ASCII
)
_DATELINE = re.compile(
    r"^.{0,80}?\([A-Z][\w .]{1,25}\)\s*[-–—]+\s*|^[A-Z][A-Z ,/.]{2,60}(?:, \w+\.? \d{1,2})?\s*[-–—]+\s"
)
_TICKER = re.compile(r"\(\s*(?:[A-Z]{2,8}:\s*)?[A-Z0-9]{1,8}(?:\.[A-Z]{1,3})?\s*\)|<[^<>\s]{1,12}>")
_POSSESSIVE = re.compile(r"['’]s?\b")
_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_LONGEST = 2_000
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def fingerprint(title: str, lead: str) -> str:
    """64 hex digits: 32 of the title, 32 of the lead (its first 20 words that mean something); zeros where there are
    too few words to tell."""
    title_words = _words(_SUFFIX.sub("", _PREFIX.sub("", title[:_LONGEST])))
    lead_words = _words(_TICKER.sub(" ", _DATELINE.sub("", lead[:_LONGEST].lstrip())))[:_LEAD_WORDS]
    of_lead = _sketch(lead_words) if len(lead_words) >= _LEAST_LEAD_WORDS else _NONE
    of_title = _sketch(title_words) if title_words else _NONE
    if of_title == of_lead == _NONE:
        of_title = blake2b(f"{title}\n{lead}".encode("utf-8", "surrogatepass"), digest_size=_VALUES).hexdigest()
    return of_title + of_lead


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


def _words(text: str) -> list[str]:
    plain = _POSSESSIVE.sub("", text.replace("’", "'").casefold())
    return [word for word in _WORD.findall(plain) if word not in _STOP]


def _sketch(words: list[str]) -> str:
    hashes = np.frombuffer(b"".join(map(_hashes, set(words))), "<u8").reshape(-1, _VALUES)
    least: bytes = hashes.min(axis=0).astype(np.uint8).tobytes()
    return least.hex()


@lru_cache(maxsize=20_000)
def _hashes(word: str) -> bytes:
    """Sixteen hashes of a word, 64 bits each, the lowest byte first."""
    raw = word.encode("utf-8", "surrogatepass")
    digest = b"".join(blake2b(raw, digest_size=64, person=bytes([part])).digest() for part in range(_VALUES // 8))
    return np.frombuffer(digest, ">u8").astype("<u8").tobytes()
