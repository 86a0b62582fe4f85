"""Cleans training texts, and computes the split key that near-duplicates share."""

from __future__ import annotations

import hashlib
import html
import re

_URL = re.compile(r"\s*(?:https?://|www\.|t\.co/)\S*…?")
_LEADING_CASHTAGS = re.compile(r"^(?:\$[A-Za-z][A-Za-z0-9./]*[\s,]*)+(?:[-–—:]\s*)?")
_CASHTAG = re.compile(r"\$[A-Za-z][\w./]*")
_RIC = re.compile(r"<[A-Z0-9.=^]+>|\[[\w]+\]|\([A-Z]{2,6}(?:[.:][A-Z]+)?\)")
_NUMBER = re.compile(r"\d[\d.,:/%-]*")
_NOT_WORD = re.compile(r"[^a-z0#]+")
_SPACE = re.compile(r"\s+")

#: Number of words in a split key. The key of a truncated tweet equals that of its longer copy.
KEY_WORDS = 12


def clean_tweet(text: str) -> str:
    """Returns the text with HTML unescaped, links removed, and white space collapsed."""
    return _SPACE.sub(" ", _URL.sub(" ", html.unescape(html.unescape(text)))).strip()


def without_leading_cashtags(text: str) -> str:
    """Returns ``Banks fall`` for ``$C $JPM - Banks fall``; the text itself if it holds only cashtags."""
    return _LEADING_CASHTAGS.sub("", text).strip() or text


def normalised(text: str) -> str:
    """Returns the text in lower case, without links and tickers, with numbers as 0 and punctuation as one space."""
    text = _URL.sub(" ", html.unescape(html.unescape(text)))
    text = _CASHTAG.sub(" ", _RIC.sub(" ", text)).lower()
    return _NOT_WORD.sub(" ", _NUMBER.sub("0", text)).strip()


def split_key(text: str) -> str:
    """Returns the first words of the normalised text, which near-duplicates share."""
    return " ".join(normalised(text).split()[:KEY_WORDS])


def unit_hash(key: str, salt: str = "") -> float:
    """Returns a hash of the salt and the key as a number in [0, 1)."""
    digest = hashlib.blake2b(f"{salt}\x00{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
