"""Recognises countries, the places that risk officers watch, also by their people and governments. Pure.

Names and codes come from the CLDR, through Babel; `_NEWSPAPER_FORMS` adds the forms that newspapers use, and the file
of nationalities the words for their people.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path

from babel import Locale

from riskwire.entities.names import join_key, words_of_name

_NEWSPAPER_FORMS = {
    "US": ("U.S.", "US", "USA", "U.S.A.", "United States of America", "America", "U.S"),
    "GB": ("UK", "U.K.", "Britain", "Great Britain", "U.K"),
    "AE": ("UAE", "U.A.E.", "Emirates", "United Arab Emirate"),
    "KR": ("Korea", "Republic of Korea"),
    "CN": ("People's Republic of China", "PRC", "Mainland China"),
    "EZ": ("euro zone", "euro area", "eurozone", "euro bloc"),
    "HK": ("Hong Kong",),
    "MO": ("Macau",),
    "MM": ("Burma",),
    "TR": ("Turkey",),
    "CZ": ("Czech Republic",),
    "IE": ("Republic of Ireland", "Irish Republic"),
    "NL": ("Holland", "The Netherlands"),
    "CI": ("Ivory Coast",),
    "CD": ("Congo",),
    "MK": ("Macedonia",),
    "BA": ("Bosnia",),
    "VA": ("Vatican",),
    "PS": ("Palestine",),
}


_STATE = re.compile(
    r"['’]?s?\s+(?:(?:public|sovereign|government|state|national|federal|fiscal|foreign|consumer|economic|"
    r"financial|political|"
    r"debt|budget|central|trade|bond|tax|aid|bail-?out|rescue|prime|finance|banking|credit|parliamentary|junior|"
    r"general|austerity|"
    r"current-account|jobless|unemployment|inflation|jobs|\d+-year)\s+)*"
    r"(?:debts?|bonds?|bailouts?|bail-?outs?|rescue|aid|crisis|crises|default|deficits?|budgets?|government|"
    r"govt|economy|financing|loans?|"
    r"recession|austerity|yields?|spreads?|rating|ratings|currency|parliament|lawmakers|ministers?|ministry|premier|"
    r"president|central\s+bank|sovereign|finances|unemployment|inflation|GDP|growth|exports|election|elections|"
    r"protests?|"
    r"riots?|unrest|strikes?|troubles?|woes|turmoil|contagion|restructuring|treasury|reforms?|cuts|stability|"
    r"outlook)\b",
    re.IGNORECASE,
)
"""What follows an adjective that means the state: "Greek debt", "Irish bank bailout"."""
_STATES_OF_US = frozenset(
    [
        *("alabama", "alaska", "arizona", "arkansas", "california", "colorado", "connecticut", "delaware"),
        *("florida", "hawaii", "idaho", "illinois", "indiana", "iowa", "kansas", "kentucky", "louisiana"),
        *("maine", "maryland", "massachusetts", "michigan", "minnesota", "mississippi", "missouri", "montana"),
        *("nebraska", "nevada", "newhampshire", "newjersey", "newmexico", "northcarolina", "northdakota"),
        *("ohio", "oklahoma", "oregon", "pennsylvania", "rhodeisland", "southcarolina", "southdakota"),
        *("tennessee", "texas", "utah", "vermont", "virginia", "westvirginia", "wisconsin", "wyoming"),
        *("puertorico"),
    ]
)
"""States that borrow, without those whose name most often means a city or a country."""
_DEBTOR = re.compile(r"(?:['’]s)?\s+(?:struggles|defaults?|misses\s+payment|to\s+issue\s+IOUs?|IOUs?|munis?)\b")
_PEOPLE = re.compile(
    r"\s+(?:reject|vote|strike|protest|riot|march|rally|brace|withdraw|queue|revolt|default|block|defy)\b"
)
"""What follows a people that acts as the state: "Icelanders reject deal"."""
_NATIONALITIES = Path(__file__).with_name("tables") / "nationalities.tsv"
_GOVERNMENTS = frozenset({"government", "govt", "govts", "administration", "authorities", "republic", "state"})
"""Words after a country or nationality that still name the country: "the Greek government"."""


@cache
def _countries() -> dict[str, str]:
    """Returns {key: usual name} of all countries, with a key for each name of a country and each newspaper form.

    A key is the normalised words of a name as one string. The usual name is that of the CLDR, except for Hong Kong and
    Turkey.
    """
    territories = _territories()
    names_by_key = {join_key(words_of_name(name)): name for name in territories.values()}
    for code, forms in _NEWSPAPER_FORMS.items():
        name = _usual_name(code)
        names_by_key[join_key(words_of_name(territories[code]))] = name
        names_by_key.update({join_key(words_of_name(form)): name for form in forms})
    return names_by_key


_NOT_COUNTRIES = frozenset({"EU", "UN", "ZZ", "XA", "XB", "QO", "AQ"})


@cache
def _territories() -> dict[str, str]:
    """Returns {code: name} of all countries, as the CLDR names them."""
    territories = Locale("en").territories
    return {code: name for code, name in territories.items() if len(code) == 2 and code not in _NOT_COUNTRIES}


def _usual_name(code: str) -> str:
    return _NEWSPAPER_FORMS[code][0] if code in {"HK", "TR"} else _territories()[code]


@cache
def _nationalities() -> dict[str, str]:
    """Returns {key: usual name of the country} for the words of its people, with the normalised words as the key."""
    lines = _NATIONALITIES.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {join_key(words_of_name(word)): _usual_name(code) for code, words in rows for word in words.split("|")}


@lru_cache(maxsize=16_384)
def nationality(name: str) -> str | None:
    """Returns the usual name of the country whose people a word names ("Greek", "Germans"); None if it names none.

    A word in small letters names none ("polish").
    """
    return _nationalities().get(join_key(words_of_name(name))) if name[:1].isupper() else None


def speaks_of_state(sentence: str, end: int) -> bool:
    """Returns whether the words after the adjective of a country, or its people, speak of the state: "Greek debt"."""
    people = sentence[end - 1 : end] == "s" and _PEOPLE.match(sentence, end) is not None
    return people or _STATE.match(sentence, end) is not None


@lru_cache(maxsize=16_384)
def is_state_of_us(name: str) -> bool:
    """Returns whether a name is that of a state of the US, and not most often that of a city or a country."""
    return join_key(words_of_name(name)) in _STATES_OF_US


def speaks_of_debtor(sentence: str, end: int) -> bool:
    """Returns whether the words after the name of a state of the US speak of it as a debtor: "California budget"."""
    return _DEBTOR.match(sentence, end) is not None or _STATE.match(sentence, end) is not None


@lru_cache(maxsize=16_384)
def country_of_government(name: str) -> str | None:
    """Returns the country of a government: "Greece" for "the Greek government"; None if it names none."""
    words = words_of_name(name)
    if words[:1] == ("the",):
        words = words[1:]
    if len(words) < 2 or words[-1] not in _GOVERNMENTS:
        return None
    key = join_key(words[:-1])
    return _countries().get(key) or _nationalities().get(key)


@lru_cache(maxsize=16_384)
def country(name: str) -> str | None:
    """Returns the usual name of the country that a name means, with or without "the"; None if it means none.

    Case, accents and punctuation do not matter.
    """
    words = words_of_name(name)
    names = _countries()
    return names.get(join_key(words)) or (names.get(join_key(words[1:])) if words[:1] == ("the",) else None)
