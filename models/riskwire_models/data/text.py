"""Cleaning of training texts, and the key that keeps near-duplicates together."""

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

#: Words of the normalised text that make its split key: a longer copy of a truncated tweet keeps the key.
KEY_WORDS = 12


def clean_tweet(text: str) -> str:
    """HTML unescaped, links dropped, white space single."""
    return _SPACE.sub(" ", _URL.sub(" ", html.unescape(html.unescape(text)))).strip()


def without_leading_cashtags(text: str) -> str:
    """``$C $JPM - Banks fall`` → ``Banks fall``; the text itself when nothing else would be left."""
    rest = _LEADING_CASHTAGS.sub("", text).strip()
    return rest or text


def normalised(text: str) -> str:
    """Lower case, without links and ticker marks, numbers as 0, punctuation as one space."""
    text = _URL.sub(" ", html.unescape(html.unescape(text)))
    text = _CASHTAG.sub(" ", _RIC.sub(" ", text)).lower()
    return _NOT_WORD.sub(" ", _NUMBER.sub("0", text)).strip()


def split_key(text: str) -> str:
    """What near-duplicates share: the first words of the normalised text."""
    return " ".join(normalised(text).split()[:KEY_WORDS])


def unit_hash(key: str, salt: str = "") -> float:
    """A number in [0, 1) that depends on the key and the salt alone."""
    digest = hashlib.blake2b(f"{salt}\x00{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
