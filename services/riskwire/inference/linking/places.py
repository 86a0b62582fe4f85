"""Countries: the places that risk officers watch. Pure.

Names and codes are those of the CLDR, by Babel; beside them the forms newspapers use.
"""

from __future__ import annotations

from functools import cache, lru_cache

from babel import Locale

from riskwire.entities.names import joined, words_of_name

_ALSO = {
    "US": ("U.S.", "US", "USA", "U.S.A.", "United States of America", "America", "U.S"),
    "GB": ("UK", "U.K.", "Britain", "Great Britain", "U.K"),
    "AE": ("UAE", "U.A.E.", "Emirates"),
    "KR": ("Korea", "Republic of Korea"),
    "CN": ("People's Republic of China", "PRC", "Mainland China"),
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


@cache
def _countries() -> dict[str, str]:
    territories = {
        code: name for code, name in Locale("en").territories.items() if len(code) == 2 and code not in _NOT_COUNTRIES
    }
    known = {joined(words_of_name(name)): name for name in territories.values()}
    for code, names in _ALSO.items():
        name = names[0] if code in {"HK", "TR"} else territories[code]
        known[joined(words_of_name(territories[code]))] = name
        known.update({joined(words_of_name(other)): name for other in names})
    return known


_NOT_COUNTRIES = frozenset({"EU", "EZ", "UN", "ZZ", "XA", "XB", "QO", "AQ"})


@lru_cache(maxsize=16_384)
def country(name: str) -> str | None:
    """The usual name of a country, or None for what is none."""
    words = words_of_name(name)
    return _countries().get(joined(words)) or (_countries().get(joined(words[1:])) if words[:1] == ("the",) else None)
