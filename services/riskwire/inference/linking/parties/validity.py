"""When a name means a party, and since and until when a company belongs to another one. Pure."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple


class Validity(NamedTuple):
    """The days on which something holds.

    Attributes:
        first: the first day; None if it has held for longer than any news.
        last: the last day; None if it still holds.
    """

    first: date | None = None
    last: date | None = None

    @classmethod
    def parse(cls, text: str) -> Validity:
        """Reads `2008-03-28..2013-02-03`, in which either day may be missing. An empty text is always valid.

        Raises:
            ValueError: a day is not in the form `YYYY-MM-DD`, or the last day is before the first.
        """
        first, _, last = text.partition("..")
        validity = cls(date.fromisoformat(first) if first else None, date.fromisoformat(last) if last else None)
        if validity.first and validity.last and validity.last < validity.first:
            raise ValueError(f"a validity must not end before it begins: {text!r}")
        return validity

    def covers(self, day: date | None) -> bool:
        """Returns whether it holds on a day; without a day, whether it still holds."""
        if day is None:
            return self.last is None
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)
