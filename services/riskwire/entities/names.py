"""Normalises names of companies, people and places for comparison. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

LEGAL_FORMS = frozenset(
    [
        *("ab", "adr", "ads", "ag", "aps", "as", "asa", "bhd", "bv", "co", "companies", "company", "corp"),
        *("corporation", "cos", "gmbh", "group", "holding", "holdings", "inc", "incorporated", "jsc", "kgaa"),
        *("kk", "limited", "llc", "lllp", "llp", "lp", "ltd", "ltda", "nv", "oao", "ooo", "oy", "oyj", "pao"),
        *("pjsc", "plc", "pllc", "pte", "pty", "pvt", "reg", "sa", "sab", "sarl", "sas", "se", "spa", "srl"),
        *("tbk", "the", "trust"),
    ]
)
"""Words at the end of a name that do not distinguish companies: "General Motors Corp" equals "General Motors"."""
DESCRIPTORS = frozenset(
    [
        *("aerospace", "air", "aircraft", "airlines", "airways", "and", "asset", "assurance", "automotive"),
        *("bancorp", "bank", "beverage", "biosciences", "biotech", "brands", "capital", "chemical"),
        *("chemicals", "com", "communications", "defense", "electric", "electronics", "energy"),
        *("entertainment", "finance", "financial", "food", "foods", "freight", "gas", "global", "health"),
        *("healthcare", "hotels", "industrial", "industries", "insurance", "interactive", "international"),
        *("laboratories", "labs", "lines", "logistics", "management", "materials", "media", "metals"),
        *("mining", "motor", "motors", "networks", "oil", "online", "partners", "petroleum", "pharma"),
        *("pharmaceutical", "pharmaceuticals", "pictures", "platforms", "power", "properties", "railway"),
        *("realty", "reit", "resorts", "resources", "restaurants", "retail", "semiconductor"),
        *("semiconductors", "services", "software", "solutions", "steel", "stores", "systems"),
        *("technologies", "technology", "telecom", "telecommunications", "transport", "worldwide"),
    ]
)
"""Words at the end of a name for what a company does. A short form can omit them ("Ford" for "Ford Motor Company"),
but only if no other company has the same first word."""

PARTS = frozenset(
    [
        *("and", "arm", "branch", "business", "d", "division", "labs", "operations", "r", "research", "segment"),
        *("subsidiary", "unit"),
    ]
)
"""Words at the end of a name for a part of a company, which bears its name: "Visa R&D Arm"."""

_NOTE = re.compile(r"\s*/\s*(?:[A-Z]{2,4}\s*/?)?\s*$|\s*\([^()]*\)\s*$")
_POSSESSIVE = re.compile(r"['’`´](?=\w{0,2}\b)")
_DOTTED = re.compile(r"\b(?:\w\.){2,}")
_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d"})
"""Letters that Unicode does not decompose into a letter and an accent."""
_NOT_WORD = re.compile(r"[^\w]+|_+")


def fold(text: str) -> str:
    """Returns a text in lower case and without accents: "Nestlé" and "NESTLE" are equal, "Mærsk" and "Maersk", too."""
    decomposed = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    return "".join(char for char in decomposed if not unicodedata.combining(char))


@lru_cache(maxsize=16_384)
def words_of_name(name: str) -> tuple[str, ...]:
    """Returns the words of a name in lower case, without accents and punctuation; none for a name of punctuation only.

    Drops a note at the end, such as "(UK)" or "/DE/". `&` becomes `and`, "U.S." becomes `us`, "Moody's" becomes
    `moodys`.
    """
    name = _NOTE.sub("", name.strip())
    folded = fold(name).replace("&", " and ")
    folded = _DOTTED.sub(lambda match: match.group().replace(".", "") + " ", folded)
    folded = _POSSESSIVE.sub("", folded)
    return tuple(word for word in _NOT_WORD.split(folded) if word)


@lru_cache(maxsize=16_384)
def name_key(name: str) -> tuple[str, ...]:
    """Returns the normalised words that distinguish a name, so that spellings of one company have the same key.

    It omits "the" at the start and legal forms at the end ("JPMorgan Chase & Co": `jpmorgan`, `chase`), but keeps at
    least one word. The key is empty only for a name without words.
    """
    words = list(words_of_name(name))
    if len(words) > 1 and words[0] == "the":
        del words[0]
    while len(words) > 1 and words[-1] in LEGAL_FORMS:
        words.pop()
        if len(words) > 1 and words[-1] == "and":  # "JPMorgan Chase & Co"
            words.pop()
    return tuple(words)


def join_key(key: tuple[str, ...]) -> str:
    """Returns a key as one string, so that "Wal-Mart" and "Walmart" are equal."""
    return "".join(key)


@lru_cache(maxsize=16_384)
def slug(name: str) -> str:
    """Returns the id of an entity that no table contains, without its prefix `name:`.

    It is the words of `name_key` joined by `-`, cut at 80 characters, and empty for a name without words.
    """
    return "-".join(name_key(name))[:80].strip("-")


@lru_cache(maxsize=16_384)
def acronyms(name: str) -> frozenset[str]:
    """Returns the initials of a name with and without its legal form ("American International Group": AIG, AI).

    They are capitals of at least two words; "of", "and", "the" and "for" do not count. May be empty.
    """
    initials = set()
    full = [word for word in words_of_name(name) if word not in {"of", "and", "the", "for"}]
    for words in (full, [word for word in name_key(name) if word not in {"of", "and", "the", "for"}]):
        if len(words) >= 2:
            initials.add("".join(word[0] for word in words).upper())
    return frozenset(initials)


def is_prefix(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    """Returns whether the words of `short` are the first words of the longer name `long`."""
    return 0 < len(short) < len(long) and long[: len(short)] == short
