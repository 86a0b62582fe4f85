"""Recognises countries, the places that risk officers watch. Pure.

Names and codes come from the CLDR, through Babel; `_NEWSPAPER_FORMS` adds the forms that newspapers use.
"""

from __future__ import annotations

from functools import cache, lru_cache

from babel import Locale

from riskwire.entities.names import join_key, words_of_name

_NEWSPAPER_FORMS = {
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
    """Returns {key: usual name} of all countries, with a key for each name of a country and each newspaper form.

    A key is the normalised words of a name as one string. The usual name is that of the CLDR, except for Hong Kong and
    Turkey.
    """
    territories = {
        code: name for code, name in Locale("en").territories.items() if len(code) == 2 and code not in _NOT_COUNTRIES
    }
    names_by_key = {join_key(words_of_name(name)): name for name in territories.values()}
    for code, forms in _NEWSPAPER_FORMS.items():
        name = forms[0] if code in {"HK", "TR"} else territories[code]
        names_by_key[join_key(words_of_name(territories[code]))] = name
        names_by_key.update({join_key(words_of_name(form)): name for form in forms})
    return names_by_key


_NOT_COUNTRIES = frozenset({"EU", "EZ", "UN", "ZZ", "XA", "XB", "QO", "AQ"})


@lru_cache(maxsize=16_384)
def country(name: str) -> str | None:
    """Returns the usual name of the country that a name means, with or without "the"; None if it means none.

    Case, accents and punctuation do not matter.
    """
    words = words_of_name(name)
    names = _countries()
    return names.get(join_key(words)) or (names.get(join_key(words[1:])) if words[:1] == ("the",) else None)
