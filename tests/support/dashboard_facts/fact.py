"""A fact of the replay that the answer of a panel must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from typing import Any

from riskwire_dashboards.expansion import TimeRange

Row = dict[str, Any]
Answers = list[list[Row]]
"""The answer to each query of a panel, in the order of the panel."""

NORVANE = "Norvane Motors"


def _days(first: str, last: str) -> TimeRange:
    """Returns the time from one day of 2031 to another one, or to a time of it, in UTC."""
    since, until = (datetime.fromisoformat(f"2031-{text}").replace(tzinfo=UTC) for text in (first, last))
    return TimeRange(since, until)


CRISIS_HOUR = _days("03-31T14:00", "03-31T15:00")
CRISIS_DAY = _days("03-31", "04-01")
CALM_WEEK = _days("03-24", "03-31")
TWO_WEEKS = _days("03-24", "04-07")
WHOLE_REPLAY = _days("03-01", "05-01")


@dataclass(frozen=True, slots=True)
class PanelFact:
    """What must be in the answer of a panel.

    Attributes:
        statement: the fact in a sentence.
        holds: whether answers hold it.
        period: the time range; None for the last minutes of the clock, in which the replay ran.
    """

    statement: str
    holds: Callable[[Answers], bool]
    period: TimeRange | None = CRISIS_DAY


def values(rows: Iterable[Row], column: str, **where: object) -> list[float]:
    """Returns the values of a column that are numbers, of the rows with given values in other columns."""
    return [
        float(row[column])
        for row in rows
        if row[column] is not None
        and not isnan(row[column])
        and all(row[name] == value for name, value in where.items())
    ]


def mean(numbers: list[float]) -> float:
    """Returns the mean of numbers, of which there must be some."""
    return sum(numbers) / len(numbers)


def only(rows: list[Row], column: str) -> float:
    """Returns the value of a column of the only row."""
    (row,) = rows
    return float(row[column])


def latest(rows: list[Row], **where: object) -> float:
    """Returns the newest value of the series of Prometheus with these labels."""
    return values(rows, "value", **where)[-1]


def largest(rows: list[Row], **where: object) -> float:
    """Returns the largest value of the series of Prometheus with these labels."""
    return max(values(rows, "value", **where))


def newest(rows: list[Row]) -> list[Row]:
    """Returns the points of the newest time. A series that has ended has none."""
    at = max(row["time"] for row in rows)
    return [row for row in rows if row["time"] == at]
