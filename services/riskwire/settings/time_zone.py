"""The type of the setting `time_zone`."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator


def _require_zone(name: str) -> str:
    """Returns the name of a time zone; raises a ValueError for any other text."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a folder of zones, such as `Europe`
        raise ValueError("not a time zone: write a name of the IANA list, such as Europe/Berlin or UTC") from None
    return name


TimeZone = Annotated[str, AfterValidator(_require_zone)]
"""The name of a time zone of the IANA list."""
