"""Sums that do not depend on the order of their terms, so that every database gives the same figures to the last digit.

A sum of floating-point numbers does depend on it, and a figure that is rounded for display can then differ.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, cast, func

UNITS = 1_000_000_000
"""Whole units in 1.0, in which floating-point columns are summed."""


def in_units(column: ColumnElement[float]) -> ColumnElement[int]:
    """Returns a floating-point column as a whole number of units."""
    return cast(func.round(column * cast(UNITS, Float)), BigInteger)


def exact_sum(column: ColumnElement[int]) -> ColumnElement[int]:
    """Returns the sum of whole numbers as a whole number; PostgreSQL would give a decimal."""
    return cast(func.sum(column), BigInteger)


def mean_of(total: ColumnElement[int]) -> ColumnElement[Any]:
    """Returns the whole part of the mean of the rows of a group, from their sum."""
    return total // func.count()
