"""Dates the times in a record back."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from riskwire.records.codec import to_ms

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def not_after(value: Any, latest: datetime) -> Any:
    """Returns a JSON value in which every text that is a later time than `latest` is replaced by that."""
    if isinstance(value, dict):
        return {key: not_after(part, latest) for key, part in value.items()}
    if isinstance(value, list):
        return [not_after(part, latest) for part in value]
    if isinstance(value, str) and _TIME.fullmatch(value) and datetime.fromisoformat(value) > latest:
        return f"{latest:%Y-%m-%dT%H:%M:%S}.{to_ms(latest) % 1000:03}Z"
    return value
