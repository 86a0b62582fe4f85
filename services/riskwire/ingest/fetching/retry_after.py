"""Reads the header `Retry-After` of a busy server. Pure."""

from __future__ import annotations

import math
import re
from datetime import datetime

from riskwire.ingest.dates.text import read_time

_MAX_S = 1_000_000_000
_SECONDS = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(?:s|secs?|seconds?)?", re.IGNORECASE)


def retry_after_s(value: str, now: datetime) -> int:
    """Returns the seconds to wait, or 0 if the header has no form that can be read, or a time in the past.

    The specification has seconds and dates of RFC 822; servers also send fractions, units and other forms of dates.

    Args:
        now: the present time.
    """
    value = value.strip()
    if match := _SECONDS.fullmatch(value):
        return math.ceil(min(float(match[1]), _MAX_S))
    stated = read_time(value)
    if stated is None:
        return 0
    return max(0, min(math.ceil((stated.moment - now).total_seconds()), _MAX_S))
