"""Names of companies, people and places in a form that can be compared. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

#: Legal forms and the like that end a name: "General Motors Corp" and "General Motors" are one.
LEGAL = frozenset(
    [
        *("ab", "adr", "ads", "ag", "aps", "as", "asa", "bhd", "bv", "co", "companies", "company", "corp"),
        *("corporation", "cos", "gmbh", "group", "holding", "holdings", "inc", "incorporated", "jsc", "kgaa"),
        *("kk", "limited", "llc", "lllp", "llp", "lp", "ltd", "ltda", "nv", "oao", "ooo", "oy", "oyj", "pao"),
        *("pjsc", "plc", "pllc", "pte", "pty", "pvt", "reg", "sa", "sab", "sarl", "sas", "se", "spa", "srl"),
        *("tbk", "the", "trust"),
    ]
)
#: What a company does, at the end of its name: may be missing in a short form ("Ford" for "Ford Motor Company"), but
#: only where the first word belongs to one company alone.
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

_NOTE = re.compile(r"\s*/\s*(?:[A-Z]{2,4}\s*/?)?\s*$|\s*\([^()]*\)\s*$")
_POSSESSIVE = re.compile(r"['’`´](?=\w{0,2}\b)")
_DOTTED = re.compile(r"\b(?:\w\.){2,}")
_NOT_WORD = re.compile(r"[^\w]+|_+")


@lru_cache(maxsize=16_384)
def words_of_name(name: str) -> tuple[str, ...]:
    """Lower-case words without accents and punctuation; `&` is `and`, "U.S." is `us`, "Moody's" is `moodys`."""
    name = _NOTE.sub("", name.strip())
    folded = unicodedata.normalize("NFKD", name).casefold().replace("&", " and ")
    folded = "".join(char for char in folded if not unicodedata.combining(char))
    folded = _DOTTED.sub(lambda match: match.group().replace(".", "") + " ", folded)
    folded = _POSSESSIVE.sub("", folded)
    return tuple(word for word in _NOT_WORD.split(folded) if word)


@lru_cache(maxsize=16_384)
def name_key(name: str) -> tuple[str, ...]:
    """The words that tell a name apart: legal forms at its end and "the" at its start dropped, unless that is all."""
    words = list(words_of_name(name))
    if len(words) > 1 and words[0] == "the":
        del words[0]
    while len(words) > 1 and words[-1] in LEGAL:
        words.pop()
        if len(words) > 1 and words[-1] == "and":  # "JPMorgan Chase & Co"
            words.pop()
    return tuple(words)


def joined(key: tuple[str, ...]) -> str:
    """One string of a key, so that "Wal-Mart" and "Walmart" are equal."""
    return "".join(key)


@lru_cache(maxsize=16_384)
def slug(name: str) -> str:
    """`name:<slug>`: the normalised name of an entity no table knows; empty when nothing is left of it."""
    return "-".join(name_key(name))[:80].strip("-")


@lru_cache(maxsize=16_384)
def acronyms(name: str) -> frozenset[str]:
    """Initials of a name with and without its legal form ("American International Group": AIG, AI); two letters or
    more, capitals."""
    found = set()
    full = [word for word in words_of_name(name) if word not in {"of", "and", "the", "for"}]
    for words in (full, [word for word in name_key(name) if word not in {"of", "and", "the", "for"}]):
        if len(words) >= 2:
            found.add("".join(word[0] for word in words).upper())
    return frozenset(found)


def is_prefix(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    """True when `short` is the beginning of a longer name, whole words."""
    return 0 < len(short) < len(long) and long[: len(short)] == short
