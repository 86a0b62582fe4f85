"""How Grafana 11 expands a query: variables first, then the macros of its PostgreSQL data source.

The rules are those of Grafana's template service, of `rangeutil.calculateInterval`, and of `macros.go` of the data
source. So the tests of the panels, and the pictures, ask what Grafana would ask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_VARIABLE: Final = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?::([^}]+))?\}")
_MACRO: Final = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
"""A call of a macro. Its arguments end at the first closing parenthesis, so they cannot call a function."""

# Upper limits of an interval, and what it is rounded to, in milliseconds.
_ROUNDED: Final = (
    (10, 1), (15, 10), (35, 20), (75, 50), (150, 100), (350, 200), (750, 500), (1_500, 1_000), (3_500, 2_000),
    (7_500, 5_000), (12_500, 10_000), (17_500, 15_000), (25_000, 20_000), (45_000, 30_000), (90_000, 60_000),
    (210_000, 120_000), (450_000, 300_000), (750_000, 600_000), (1_050_000, 900_000), (1_500_000, 1_200_000),
    (2_700_000, 1_800_000), (5_400_000, 3_600_000), (9_000_000, 7_200_000), (16_200_000, 10_800_000),
    (32_400_000, 21_600_000), (86_400_000, 43_200_000), (604_800_000, 86_400_000), (1_814_400_000, 604_800_000),
    (3_628_800_000, 2_592_000_000),
)  # fmt: skip
_YEAR_MS: Final = 31_536_000_000
_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The time range of a dashboard."""

    since: datetime
    until: datetime

    @property
    def since_ms(self) -> int:
        """The start, in milliseconds since 1970."""
        return _milliseconds(self.since)

    @property
    def until_ms(self) -> int:
        """The end, in milliseconds since 1970."""
        return _milliseconds(self.until)


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def length_ms(text: str) -> int:
    """Returns the length of an interval.

    >>> length_ms("15m"), length_ms("1h")
    (900000, 3600000)
    """
    found = re.fullmatch(r">?(\d+)(ms|[smhd])", text)
    if found is None:
        raise ValueError(f"{text!r} is no interval")
    return int(found[1]) * _UNITS[found[2]]


def interval_text(interval_ms: int) -> str:
    """Returns an interval in its largest whole unit.

    >>> interval_text(900_000), interval_text(86_400_000), interval_text(90_000)
    ('15m', '1d', '90s')
    """
    unit = next(name for name, length in reversed(_UNITS.items()) if interval_ms % length == 0)
    return f"{interval_ms // _UNITS[unit]}{unit}"


def interval_of(period: TimeRange, points: int, least_ms: int) -> int:
    """Returns `$__interval` in milliseconds, so that a panel shows about `points` points.

    Args:
        least_ms: the least interval, of the panel or of the data source.
    """
    exact = (period.until_ms - period.since_ms) / points
    rounded = next((value for limit, value in _ROUNDED if exact < limit), _YEAR_MS)
    return max(rounded, least_ms)


def built_in_variables(period: TimeRange, interval_ms: int, scrape_ms: int = 15_000) -> dict[str, str]:
    """Returns the variables that Grafana sets itself. `scrape_ms`: the least interval of the Prometheus data source."""
    range_ms = period.until_ms - period.since_ms
    return {
        "__from": str(period.since_ms),
        "__to": str(period.until_ms),
        "__interval": interval_text(interval_ms),
        "__interval_ms": str(interval_ms),
        "__rate_interval": interval_text(max(interval_ms + scrape_ms, 4 * scrape_ms)),
        "__range": f"{round(range_ms / 1000)}s",
        "__range_s": str(round(range_ms / 1000)),
        "__range_ms": str(range_ms),
    }


_FORMATS: Final[Mapping[str, Callable[[str], str]]] = {
    "": str,
    "raw": str,
    "sqlstring": lambda value: "'" + value.replace("'", "''") + "'",
}


def with_variables(text: str, variables: Mapping[str, str]) -> str:
    """Returns a text with its variables replaced. What is no variable stays.

    >>> with_variables("target = ${target:sqlstring} AND $__timeTo()", {"target": "group:o'hara"})
    "target = 'group:o''hara' AND $__timeTo()"
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[4]
        if name not in variables:
            return match[0]
        return _FORMATS[match[3] or match[5] or ""](variables[name])

    return _VARIABLE.sub(value, text)


def with_macros(sql: str, period: TimeRange) -> str:
    """Returns a statement with its macros replaced.

    Raises:
        ValueError: it calls a macro that the data source does not know.
    """

    def replacement(match: re.Match[str]) -> str:
        arguments = [argument.strip() for argument in match[2].split(",")]
        return _macro(match[1], arguments, period)

    return _MACRO.sub(replacement, sql)


def _macro(name: str, arguments: list[str], period: TimeRange) -> str:
    """Returns what replaces a call of a macro."""
    since, until = (_timestamp(at) for at in (period.since, period.until))
    column = arguments[0]
    if name.endswith("GroupAlias"):
        return _macro(name.removesuffix("Alias"), arguments, period) + ' AS "time"'
    if name in ("__timeGroup", "__unixEpochGroup"):
        step = f"{length_ms(arguments[1].strip(chr(39))) / 1000:g}"
        seconds = f"extract(epoch from {column})" if name == "__timeGroup" else f"({column})"
        return f"floor({seconds}/{step})*{step}"
    since_s, until_s = period.since_ms // 1000, period.until_ms // 1000
    since_ns, until_ns = period.since_ms * 1_000_000, period.until_ms * 1_000_000
    macros = {
        "__time": f'{column} AS "time"',
        "__timeEpoch": f'extract(epoch from {column}) as "time"',
        "__timeFilter": f"{column} BETWEEN '{since}' AND '{until}'",
        "__timeFrom": f"'{since}'",
        "__timeTo": f"'{until}'",
        "__unixEpochFilter": f"{column} >= {since_s} AND {column} <= {until_s}",
        "__unixEpochNanoFilter": f"{column} >= {since_ns} AND {column} <= {until_ns}",
        "__unixEpochNanoFrom": str(since_ns),
        "__unixEpochNanoTo": str(until_ns),
    }
    if name not in macros:
        raise ValueError(f"the PostgreSQL data source of Grafana has no macro ${name}()")
    return macros[name]


def _timestamp(at: datetime) -> str:
    """Returns a time as RFC 3339 in UTC, to the millisecond."""
    moment = at.astimezone(UTC)
    text = f"{moment:%Y-%m-%dT%H:%M:%S}"
    milliseconds = moment.microsecond // timedelta(milliseconds=1).microseconds
    return f"{text}.{milliseconds:03d}Z" if milliseconds else f"{text}Z"
