"""Tells companies of one short name apart by their legal form: Delta Corp is not Delta Air Lines, Inc. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from riskwire.entities.common_words import is_common_word
from riskwire.entities.names import LEGAL_FORMS, is_prefix, name_key, words_of_name

_SAME = {"corporation": "corp", "incorporated": "inc", "company": "co", "limited": "ltd"}
_LOOSE = frozenset({"adr", "ads", "companies", "cos", "group", "holding", "holdings", "reg", "the", "trust"})
"""Words of `LEGAL_FORMS` that are left out at will, so that they tell no companies apart."""
_FORM = re.compile(r",?\s+(?:Inc|INC|Corp|CORP|Corporation|CORPORATION|Ltd|LTD|Limited|LIMITED|plc|PLC)\b(?!-)")


def legal_forms(name: str) -> frozenset[str]:
    """Returns the legal forms in a name, one word for each: `corp` and `ltd` for "Delta Corporation Limited"."""
    return frozenset(
        _SAME.get(word, word) for word in words_of_name(name)[1:] if word in LEGAL_FORMS and word not in _LOOSE
    )


def form_end(sentence: str, start: int, end: int) -> int:
    """Returns where the legal form after a common word ends ("Delta Corp"); `end` if none follows."""
    if not is_common_word(sentence[start:end]):
        return end
    form = _FORM.match(sentence, end)
    return form.end() if form else end


def has_another_form(text: str, names: Iterable[str]) -> bool:
    """Returns whether a text is a short name with a legal form, and the company of the full names has another form.

    Only a single common word can be such a short name, since many companies begin with it. A full name that has the
    same words as the text is that of the company, whatever its form.

    Args:
        names: names of the company; those without a legal form do not count.

    >>> has_another_form("Delta Corp", ["DELTA AIR LINES, INC."]), has_another_form("Ford Co", ["FORD MOTOR CO"])
    (True, False)
    """
    key, forms = name_key(text), legal_forms(text)
    if len(key) != 1 or not forms or not is_common_word(key[0]):
        return False
    full = [name for name in names if legal_forms(name)]
    keys = [name_key(name) for name in full]
    if key in keys or not any(is_prefix(key, known) for known in keys):
        return False
    return all(forms.isdisjoint(legal_forms(name)) for name in full)
