"""Fingerprints that tell whether two articles report one story.

A wire item that forty sites reprint is one story. A fingerprint holds two MinHash sketches of 16 values of 8 bits: one
of the words of the title, one of the first words of the lead. Two articles report one story when either sketch agrees:
an item under another headline keeps its lead, and a feed without leads keeps its headlines. A fingerprint is a pure
function of title and lead. It therefore depends neither on the order of articles nor on their partition.

Sources:
    A. Broder, On the resemblance and containment of documents, 1997 (MinHash).
    P. Li and A. C. König, b-Bit Minwise Hashing, 2010 (few bits of each value).

The thresholds were chosen on the Reuters stream of 2009-2010 (`tests/bench/bench_story.py`), where this design was
compared with a 64-bit SimHash and with one MinHash of title and lead together.
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
"""Values of one sketch."""
_LEAD_WORDS = 20
"""Words of the lead that are hashed."""
_MIN_LEAD_WORDS = 6
"""A lead of fewer words has no sketch."""
_SAME_TITLE = 12
"""Values that must agree for two titles to match. Titles are short, so more must agree than of leads."""
_SAME_LEAD = 10
"""Values that must agree for two leads to match."""
_NO_SKETCH = "00" * _VALUES
_GAP = " "
SHARED_BANDS = {"t": _VALUES // 2 - (_VALUES - _SAME_TITLE), "l": _VALUES // 2 - (_VALUES - _SAME_LEAD)}
"""The least number of bands that two matching titles (`t`) or leads (`l`) share; see `bands`."""

_STOP_WORDS = frozenset(
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
"""Every match of `_SUFFIX` contains one of these."""
_DATELINE = re.compile(
    r"^.{0,80}?\([A-Z][\w .]{1,25}\)\s*[-–—]+\s*|^[A-Z][A-Z ,/.]{2,60}(?:, \w+\.? \d{1,2})?\s*[-–—]+\s"
)
_TICKER = re.compile(r"\(\s*(?:[A-Z]{2,8}:\s*)?[A-Z0-9]{1,8}(?:\.[A-Z]{1,3})?\s*\)|<[^<>\s]{1,12}>")
_POSSESSIVE = re.compile(r"'s?\b")
_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_MAX_CHARACTERS = 2_000
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def fingerprint(title: str, lead: str) -> str:
    """Returns the fingerprint of an article: 32 hexadecimal digits for the title, 32 for the lead.

    A half is zeros when there are too few words for a sketch. An article without any words gets a hash of its
    characters.
    """
    return fingerprints([(title, lead)])[0]


def fingerprints(articles: Sequence[tuple[str, str]]) -> list[str]:
    """Returns the `fingerprint` of each (title, lead): 64 hexadecimal digits, the sketch of the title and of the lead.

    An article without words for a sketch gets a hash of its characters instead. One call is cheaper than one for each
    article, because numpy compares the hashes of all articles at once.
    """
    texts: list[list[str]] = []
    for title, lead in articles:
        lead_words = _lead_words(lead)
        texts += (_title_words(title), lead_words if len(lead_words) >= _MIN_LEAD_WORDS else [])
    sketches = _sketches(texts)
    return [
        title_sketch + lead_sketch
        if title_sketch is not _NO_SKETCH or lead_sketch is not _NO_SKETCH
        else _hash_of_characters(title, lead) + _NO_SKETCH
        for (title, lead), title_sketch, lead_sketch in zip(articles, sketches[::2], sketches[1::2], strict=True)
    ]


def _hash_of_characters(title: str, lead: str) -> str:
    return blake2b(f"{title}\n{lead}".encode("utf-8", "surrogatepass"), digest_size=_VALUES).hexdigest()


def is_fingerprint(text: str) -> bool:
    """Whether a text has the form of a fingerprint. A text of another form equals itself and resembles nothing."""
    return _FINGERPRINT.fullmatch(text) is not None


def same_story(a: str, b: str) -> bool:
    """Returns whether two fingerprints belong to one story.

    They are equal, or enough values of their titles agree (12 of 16), or enough values of their leads (10 of 16).
    """
    if a == b:
        return True
    half = 2 * _VALUES
    return _agreeing(a[:half], b[:half]) >= _SAME_TITLE or _agreeing(a[half:], b[half:]) >= _SAME_LEAD


def bands(fingerprint: str) -> tuple[str, ...]:
    """Returns the keys under which an index files a fingerprint, those of the title first.

    A band is a pair of neighbouring values of a sketch. A key is the kind of the sketch (`t` or `l`), the number of the
    pair, and its values. A half that is zeros has no bands. Two fingerprints of one story are equal, or share at least
    `SHARED_BANDS` keys of one kind:

    - 12 of the 16 values of a title agree, so at most 4 of its 8 pairs differ;
    - 10 of the 16 values of a lead agree, so at most 6 of its 8 pairs differ.
    """
    halves = (("t", fingerprint[: 2 * _VALUES]), ("l", fingerprint[2 * _VALUES :]))
    return tuple(
        f"{kind}{start // 4}:{sketch[start : start + 4]}"
        for kind, sketch in halves
        if sketch != _NO_SKETCH
        for start in range(0, len(sketch), 4)
    )


def _agreeing(a: str, b: str) -> int:
    """Returns the number of values that agree in two sketches, place by place; 0 if either half has no sketch."""
    if _NO_SKETCH in {a, b}:
        return 0
    return sum(map(eq, bytes.fromhex(a), bytes.fromhex(b)))


def _title_words(title: str) -> list[str]:
    """Returns the words of a title without a prefix such as "UPDATE 1-" and without an outlet or source at its end.

    They are in lower case and without stop words. Only the start of a very long title is read.
    """
    title = _without_prefix(_PREFIX, title[:_MAX_CHARACTERS])
    if any(mark in title for mark in _SUFFIX_MARKS):
        title = _SUFFIX.sub("", title)
    return _words(title)


def _lead_words(lead: str) -> list[str]:
    """Returns the first words of a text in lower case, without dateline, ticker marks and stop words.

    Reads only the start of a long text, and returns at most `_LEAD_WORDS` words.
    """
    lead = _without_prefix(_DATELINE, lead[:_MAX_CHARACTERS].lstrip())
    if "(" in lead or "<" in lead:
        lead = _TICKER.sub(" ", lead)
    return _words(lead, _LEAD_WORDS)


def _without_prefix(prefix: re.Pattern[str], text: str) -> str:
    match = prefix.match(text)
    return text[match.end() :] if match else text


def _words(text: str, limit: int = sys.maxsize) -> list[str]:
    """Returns the first `limit` words that are no stop words, in lower case and without a possessive "'s".

    By default all words. Their number has no bound in the length of the text: case folding splits "ᾷ", for example.
    """
    folded = text.replace("’", "'").casefold()
    if "'" in folded:
        folded = _POSSESSIVE.sub("", folded)
    words: list[str] = []
    for token in folded.split():
        if token.isalnum():  # Most tokens are one word, which the pattern would find unchanged.
            if token not in _STOP_WORDS:
                words.append(token)
        else:
            words += [word for word in _WORD.findall(token) if word not in _STOP_WORDS]
        if len(words) >= limit:
            break
    return words[:limit]


def _sketches(texts: Sequence[Sequence[str]]) -> list[str]:
    """Returns the sketch of each list of words; `_NO_SKETCH` for an empty list.

    A sketch is 16 values of 8 bits as hexadecimal digits. Each value is the low byte of the smallest hash that any of
    the words has for it (MinHash).
    """
    nonempty = [words for words in texts if words]
    if not nonempty:
        return [_NO_SKETCH] * len(texts)
    hashes = np.frombuffer(b"".join([_hashes(word) for words in nonempty for word in words]), "<u8")
    starts = np.cumsum([0, *map(len, nonempty[:-1])])
    minima = np.minimum.reduceat(hashes.reshape(-1, _VALUES), starts, axis=0).astype(np.uint8)
    sketches = iter(minima.tobytes().hex(_GAP, _VALUES).split(_GAP))
    return [next(sketches) if words else _NO_SKETCH for words in texts]


@lru_cache(maxsize=20_000)
def _hashes(word: str) -> bytes:
    """Returns sixteen hashes of a word, of 64 bits each, in little-endian order."""
    raw = word.encode("utf-8", "surrogatepass")
    digest = b"".join(blake2b(raw, digest_size=64, person=bytes([part])).digest() for part in range(_VALUES // 8))
    return np.frombuffer(digest, ">u8").astype("<u8").tobytes()
