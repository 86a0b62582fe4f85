"""Names of months and weekdays: English ones, and those of other European languages from the CLDR (Babel)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ENGLISH_MONTHS = {name: number for number, month in enumerate(_MONTHS, 1) for name in (month, month[:3])} | {"sept": 9}
_ENGLISH_WEEKDAYS = {name: number for number, day in enumerate(_WEEKDAYS) for name in (day, day[:3])} | {
    "tues": 1,
    "weds": 2,
    "thur": 3,
    "thurs": 3,
}
_LANGUAGES = (
    *("de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi"),
    *("pl", "cs", "sk", "sl", "hr", "hu", "ro", "tr", "et", "lv", "lt"),
)
"""More languages than feeds need: a name that two of them give to different months is read as neither."""


def month_of(name: str) -> int | None:
    """Returns the number of a month (1 to 12), or None. Case, accents and a full stop at the end do not count."""
    folded = _folded(name)
    return _ENGLISH_MONTHS.get(folded) or _foreign_names()[0].get(folded)


def weekdays_of(name: str) -> frozenset[int]:
    """Returns the weekdays that a name may mean, Monday being 0; empty if it is the name of none.

    A short name can mean two days in two languages.
    """
    folded = _folded(name)
    if folded in _ENGLISH_WEEKDAYS:
        return frozenset({_ENGLISH_WEEKDAYS[folded]})
    return _foreign_names()[1].get(folded, frozenset())


@cache
def _foreign_names() -> tuple[dict[str, int], dict[str, frozenset[int]]]:
    """Returns the unambiguous names of months and all names of weekdays of `_LANGUAGES`.

    Loading them takes half a second, so it waits for the first name that is not English.
    """
    from babel import Locale  # noqa: PLC0415

    months: dict[str, set[int]] = {}
    weekdays: dict[str, set[int]] = {}
    for language in _LANGUAGES:
        locale = Locale(language)
        for number, name in _names(locale.months):
            months.setdefault(_folded(name), set()).add(number)
        for number, name in _names(locale.days):
            weekdays.setdefault(_folded(name), set()).add(number)
    unambiguous = {name: min(numbers) for name, numbers in months.items() if len(numbers) == 1}
    return unambiguous, {name: frozenset(numbers) for name, numbers in weekdays.items()}


def _names(contexts: object) -> Iterator[tuple[int, str]]:
    """Yields number and name of each month or weekday of a locale, in the abbreviated, short and wide forms."""
    for widths in contexts.values():  # type: ignore[attr-defined]
        for width in ("abbreviated", "short", "wide"):
            if width in widths:
                yield from widths[width].items()


def _folded(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold().rstrip("."))
    return "".join(character for character in decomposed if not unicodedata.combining(character))
