"""International Securities Identification Numbers."""

from __future__ import annotations

import re

_PATTERN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")


def is_isin(text: str) -> bool:
    """Returns whether a text is a well-formed ISIN with a correct check digit.

    ISO 6166: the Luhn algorithm over the digits, with letters as 10 to 35.

    >>> is_isin("US0378331005"), is_isin("US0378331006")
    (True, False)
    """
    if not _PATTERN.fullmatch(text):
        return False
    digits = "".join(str(int(char, 36)) for char in text)
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
