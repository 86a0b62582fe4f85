"""Pieces of SQL that several panels share. The macros (`$__…`) are those of Grafana's PostgreSQL data source."""

from __future__ import annotations

STEP = "$__interval"
"""The length of a step of a time series, which Grafana chooses by the width of the panel."""


def in_range(column: str) -> str:
    """Returns the condition that a column with milliseconds is in the time range of the dashboard.

    It compares the bare column, so that PostgreSQL uses its index and leaves out the partitions of other months.
    """
    return f"{column} BETWEEN $__unixEpochNanoFrom() / 1000000 AND $__unixEpochNanoTo() / 1000000"


def step_of(column: str) -> str:
    """Returns the start of the step that a column with milliseconds is in, in seconds."""
    return f"$__unixEpochGroup({column} / 1000, {STEP})"


MOOD = "(sum(positive) - sum(negative)) / nullif(sum(negative + neutral + positive), 0)"
"""The mean score of points of `trends`, from -1 to 1."""


def is_adverse(table: str) -> str:
    """Returns the condition that a row counts as adverse, by the threshold of the bundle that read it."""
    return f"{table}.adverse >= coalesce({table}.adverse_from, 0.5)"


def level_of(table: str) -> str:
    """Returns the level of a row as the page shows it (`Level.label`)."""
    return (
        f"CASE WHEN {is_adverse(table)} THEN"
        f" CASE WHEN {table}.level_material >= {table}.level_mild THEN 'material' ELSE 'mild' END"
        f" WHEN {table}.level_favourable > {table}.level_neutral THEN 'favourable' ELSE 'neutral' END"
    )


def type_of(table: str) -> str:
    """Returns the most probable event type of a row in words; null without one."""
    return f"replace({table}.events::json -> 0 ->> 'label', '_', ' ')"


def time_of(column: str) -> str:
    """Returns a column with milliseconds as a time."""
    return f"to_timestamp({column} / 1000.0)"
