"""The columns of level and event types, which several tables have, and the records that they hold.

All are NULL if the bundle that read the article does not predict them. `adverse` is mild plus material. `events` is a
JSON array of label and score.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Column, Float, Text

from riskwire.records import EventScore, Level, to_json


def risk_columns() -> list[Column[Any]]:
    """Returns new columns for one table."""
    return [
        Column("level_neutral", Float),
        Column("level_mild", Float),
        Column("level_material", Float),
        Column("level_favourable", Float),
        Column("adverse", Float),
        Column("events", Text),
    ]


def risk_values(level: Level | None, events: tuple[EventScore, ...] | None) -> dict[str, Any]:
    """Returns the values of the columns, by name."""
    return {
        "level_neutral": level.neutral if level else None,
        "level_mild": level.mild if level else None,
        "level_material": level.material if level else None,
        "level_favourable": level.favourable if level else None,
        "adverse": level.adverse if level else None,
        "events": None if events is None else to_json(events).decode(),
    }


def level_of(row: Mapping[Any, Any]) -> Level | None:
    """Returns the level of a row; None if it is unknown."""
    if row["level_neutral"] is None:
        return None
    return Level(
        neutral=row["level_neutral"],
        mild=row["level_mild"],
        material=row["level_material"],
        favourable=row["level_favourable"],
    )


def events_of(row: Mapping[Any, Any]) -> tuple[EventScore, ...] | None:
    """Returns the event types of a row, the most probable first; None if they are unknown."""
    if row["events"] is None:
        return None
    return tuple(EventScore.model_validate(event) for event in orjson.loads(row["events"]))
