"""Finds the name that two articles have in common, where one writes the full name and another a short form. Pure.

"Hynix" and "Hynix Semiconductor", "Lexmark" and "Lexmark International" are one party in every article, whether or not
the article has both names. So the words for a trade are left out where the rest of the name is distinctive: where it is
no common word, and where no other company in the tables, and no family of companies, begins with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path

from riskwire.entities.common_words import is_common_word
from riskwire.entities.names import DESCRIPTORS, LEGAL_FORMS, name_key
from riskwire.inference.linking.places import country, nationality

_FAMILIES = Path(__file__).parents[1] / "tables" / "families.txt"
_TRADES = DESCRIPTORS - {"and", "bank", "global", "international"} | {
    *(
        "auto",
        "automobile",
        "automobiles",
        "computer",
        "computers",
        "semi",
        "pharm",
        "holdings",
        "advisors",
        "advisers",
    ),
    *(
        "us",
        "usa",
        "uk",
        "worldwide",
        "international",
        "manufacturing",
        "products",
        "companies",
        "securities",
        "components",
    ),
}
"""Words that say what a company does, or how large it is."""
COMMON_TRADES = _TRADES - {
    "pharma",
    "pharmaceutical",
    "pharmaceuticals",
    "steel",
    "power",
    "finance",
    "capital",
    "foods",
    "chemicals",
}
"""The same without words by which separate companies of one name differ, such as GlaxoSmithKline Pharma of India."""
_DIVISIONS = frozenset(
    [
        *("securities", "research", "europe", "asia", "america", "americas", "usa", "us", "uk", "germany", "china"),
        *("japan", "australia", "taiwan", "canada", "mexico", "brazil", "russia", "deutschland", "advisors", "usa"),
        *("investment", "bank", "asset", "wealth", "management", "capital", "markets", "private", "banking", "unit"),
        *("global", "international", "north", "latin", "pacific", "motor", "sales", "credit", "financial", "services"),
        *("economics", "equity", "equities", "arm", "division", "northamerica", "com", "and", "operations", "brokers"),
    ]
)
"""Words for a part of a company that bears its name: "UBS Investment Research", "Honda North America"."""
_SEPARATE = frozenset(
    [
        *(
            "pharma",
            "india",
            "steel",
            "power",
            "bottling",
            "amatil",
            "hellenic",
            "consumer",
            "essar",
            "gamesa",
            "energy",
        ),
        *(
            "cement",
            "brasil",
            "pakistan",
            "nigeria",
            "japan",
            "industries",
            "tsusho",
            "life",
            "foundation",
            "university",
        ),
        *(
            "stadium",
            "center",
            "park",
            "field",
            "arena",
            "museum",
            "and",
            "trust",
            "reit",
            "family",
            "brothers",
            "sons",
        ),
        *(
            "etf",
            "fund",
            "funds",
            "hospital",
            "hospitals",
            "tyres",
            "tires",
            "textiles",
            "sugar",
            "sugars",
            "jewellers",
            "paints",
            "infra",
            "cements",
            "fertilisers",
            "fertilizers",
            "plastics",
            "breweries",
            "distilleries",
            "shipyard",
        ),
    ]
)
_ABBREVIATED = {
    "elec": ("electronics", "electric"), "sci": ("scientific",), "bros": ("brothers",), "intl": ("international",),
    "int'l": ("international",), "finmin": ("finance ministry",), "natl": ("national",), "assn": ("association",),
    "dept": ("department",), "govt": ("government",), "conf": ("conference",), "pharma": ("pharmaceuticals",),
    "pharmas": ("pharmaceuticals",), "air": ("airlines", "airways", "air lines"), "petro": ("petroleum",),
    "tech": ("technologies", "technology"), "semi": ("semiconductor",), "m": ("morgan",), "w": ("white",),
    "c": ("credit",), "amer": ("american",), "ins": ("insurance",), "fin": ("financial",), "mgmt": ("management",),
    "svcs": ("services",), "int": ("international",), "commun": ("communications",), "bncp": ("bancorp",),
}  # fmt: skip
"""Words that headlines shorten, and the full words."""
_OF_CONGRESS = re.compile(r"(?:U\.?S\.? )?(?:House|Senate) (?!.* Committee$)", re.IGNORECASE)
_MIN_LETTERS = 3


def expanded(name: str) -> Iterator[str]:
    """Yields a name with a shortened word written out: "Samsung Electronics" for "Samsung Elec".

    A part of Congress may be a committee without that word, and headlines misspell it: "HOUSE WAYS AND MEAN".
    """
    if _OF_CONGRESS.match(name):
        yield f"{name} Committee"
        yield f"{name}s Committee"
    words = name.replace(".", ". ").replace("'", "").split()
    for place, word in enumerate(words):
        for full in _ABBREVIATED.get(word.rstrip(".").casefold(), ()):
            yield " ".join([*words[:place], full, *words[place + 1 :]])


def without_division(name: str) -> Iterator[str]:
    """Yields a name without words for a part of the company at its end ("UBS Investment Bank"), the longest first."""
    words = name.replace("-", " ").split()
    while len(words) > 1 and words[-1].strip(".,&").replace(".", "").casefold() in _DIVISIONS | LEGAL_FORMS | {""}:
        words.pop()
        yield " ".join(words)


def common_key(name: str, starts: Callable[[str], int], trades: frozenset[str] = _TRADES) -> tuple[str, ...]:
    """Returns the words that the full name and the short forms of a party have in common, normalised.

    Args:
        name: a name that the tables do not have.
        starts: returns how many companies of the tables have names that begin with a word.
        trades: the words that may be left out.
    """
    key = name_key(name)
    length = len(key)
    while length > 1 and (key[length - 1] in trades or key[length - 1] in LEGAL_FORMS):
        length -= 1
    if length == len(key) or starts(key[0]) > 0 or not _is_distinctive(key[:length]):
        return key
    return key[:length]


def _is_distinctive(words: tuple[str, ...]) -> bool:
    """Returns whether words name one company without what it does."""
    first = words[0]
    if first in _families() or len(first) < _MIN_LETTERS or country(first) or nationality(first.capitalize()):
        return False
    return not all(map(is_common_word, words)) and words[-1] not in {"and", "of", "de"}


@cache
def _families() -> frozenset[str]:
    lines = _FAMILIES.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split("|"))


def is_family(word: str) -> bool:
    """Returns whether several parties or places share a normalised word as their first one."""
    return word in _families()


def without_part(name: str) -> Iterator[str]:
    """Yields the beginnings of a name, the longest first: "BP" for "BP Alaska", since a part bears the company's name.

    None where the rest is a word that separate companies add to the name of another one ("Nestle India").
    """
    words = name.split()
    if _SEPARATE.isdisjoint(name_key(name)) and not {"and", "&"} & set(words):
        for count in range(len(words) - 1, 0, -1):
            yield " ".join(words[:count])


@lru_cache(maxsize=16_384)
def is_distinctive(name: str) -> bool:
    """Returns whether a name tells one company by itself: "Adobe", but not "Target", "Tata" or "Boston"."""
    return _is_distinctive(name_key(name) or ("",))
