"""The columns of exports: their types, and how they are read from a row of the store."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from pydantic import AwareDatetime

from riskwire.records import Record, from_ms

Row = Mapping[str, Any]


class ColumnType(StrEnum):
    """What a column holds. JSON is text."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    TIME = "time"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column of an export.

    Attributes:
        value: reads it from a row; times as `datetime` in UTC.
    """

    name: str
    type: ColumnType
    value: Callable[[Row], Any]


def stored(name: str, kind: ColumnType, source: str | None = None) -> ExportColumn:
    """Returns a column that holds a value of the row as it is; `source` is its name there."""
    key = source or name
    return ExportColumn(name, kind, lambda row: row[key])


def time(name: str, source: str) -> ExportColumn:
    """Returns a column with a time that the row has in milliseconds since 1970."""
    return ExportColumn(name, ColumnType.TIME, lambda row: from_ms(row[source]))


def record_columns(record: type[Record]) -> tuple[ExportColumn, ...]:
    """Returns a column for each field of a record that the row has as JSON in `body`. Nested fields are JSON."""
    return tuple(
        _field(name, _type_of(typing.get_type_hints(record)[name])) for name in record.model_fields if name != "v"
    )


def parsed(row: Row, record: type[Record]) -> dict[str, Any]:
    """Returns the fields of the record in `body`; those that it lacks have their defaults."""
    return record.model_validate_json(row["body"]).model_dump()


def _field(name: str, kind: ColumnType) -> ExportColumn:
    def value(row: Row) -> Any:
        field = row[name]
        return None if field is None or kind is not ColumnType.JSON else orjson.dumps(field).decode()

    return ExportColumn(name, kind, value if kind is ColumnType.JSON else lambda row: row[name])


def _type_of(annotation: Any) -> ColumnType:
    """Returns the type of the column for a field with this annotation."""
    options = typing.get_args(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        (annotation,) = (option for option in options if option is not type(None))
        options = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return ColumnType.TEXT
    simple: dict[Any, ColumnType] = {
        str: ColumnType.TEXT,
        bool: ColumnType.FLAG,
        int: ColumnType.INTEGER,
        float: ColumnType.NUMBER,
        AwareDatetime: ColumnType.TIME,
    }
    return simple.get(annotation, ColumnType.JSON)
