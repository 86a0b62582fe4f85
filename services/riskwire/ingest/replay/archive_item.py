"""Reads the item in a line of an archive: a JSON object, with the field names that the user gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

import orjson
from pydantic import BeforeValidator, ValidationError, ValidationInfo, field_validator, model_validator

from riskwire.errors import SchemaError, SettingsError
from riskwire.ingest.dates.text import read_time, time_of_epoch
from riskwire.records import Record, Utc, schema_error

MAX_VALUE = 80
"""Bytes of a line in an error."""
_COMPACT_DATE_DIGITS = 8


@dataclass(frozen=True, slots=True)
class ArchiveLine:
    """A line of an archive that is not blank.

    Attributes:
        number: counts all lines from 1, blank ones included; of CSV the last line of a row, of Parquet the row.
        raw: a JSON object. Rows of CSV and Parquet are converted to it.
        complete: False if the line was too long, and `raw` is only its beginning.
        bytes_read: the bytes of the file that were read up to the end of this line.
    """

    number: int
    raw: bytes
    complete: bool
    bytes_read: int


def _read_date(value: Any, info: ValidationInfo) -> Any:
    """Returns the time of a date in an archive: text in any form that feeds use, or a number of seconds since 1970.

    Archives keep old dates, which in feeds would be unknown. A number of eight digits is a date (20260716).

    Raises:
        ValueError: the text is no date, or the order of its day and month is not known.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    is_compact = isinstance(value, int) and -(10**9) < value < 10**9 and len(str(abs(value))) == _COMPACT_DATE_DIGITS
    if isinstance(value, str) or is_compact:
        stated = read_time(str(value), day_first=(info.context or {}).get("day_first"))
    else:
        stated = time_of_epoch(value)
    if stated is None:
        raise ValueError("not a date that can be read, or one with day and month in an unknown order")
    return stated.moment


class ArchiveItem(Record):
    """The item in one line of an archive. Other fields are ignored."""

    published_at: Annotated[Utc, BeforeValidator(_read_date)]
    title: str
    url: str = ""
    summary: str = ""
    text: str = ""
    source: str = ""
    publisher: str = ""
    language: str = ""

    @field_validator("title", "url", "summary", "text", "source", "publisher", "language", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return "" if value is None else value

    @model_validator(mode="after")
    def _has_text(self) -> Self:
        """Returns the item.

        Raises:
            ValueError: it has neither title nor text.
        """
        if not (self.title.strip() or self.text.strip() or self.summary.strip()):
            raise ValueError("title and text are both empty")
        return self


@dataclass(frozen=True, slots=True)
class ItemReader:
    """Reads items from the lines of one archive.

    Attributes:
        name: the name of the archive, for errors.
        names: for fields of `ArchiveItem` the name that the archive uses; a name with dots is a path (`headline.main`).
        day_first: the order of dates such as 07/11/2026; None if the archive does not show it.
    """

    name: str
    names: Mapping[str, str] = field(default_factory=dict)
    day_first: bool | None = None

    def read(self, line: ArchiveLine) -> ArchiveItem:
        """Returns the item of a line.

        Raises:
            SchemaError: the line has no valid item. The message has the number of the line and the field.
        """
        where = f"{self.name}, line {line.number}"
        if not line.complete:
            raise SchemaError("a line longer than ingest.max_line", value=line.raw[:MAX_VALUE], where=where)
        context = {"day_first": self.day_first}
        try:
            if not self.names:
                return ArchiveItem.model_validate_json(line.raw, context=context)
            return ArchiveItem.model_validate(self._renamed(line, where), context=context)
        except ValidationError as error:
            raise schema_error(error, where) from None

    def date_text(self, line: ArchiveLine) -> str:
        """Returns the text of the date of a line; empty if it has none."""
        try:
            value = _at_path(orjson.loads(line.raw), self.names.get("published_at", "published_at"))
        except orjson.JSONDecodeError:
            return ""
        return value if isinstance(value, str) else ""

    def _renamed(self, line: ArchiveLine, where: str) -> dict[str, Any]:
        """Returns the values of a line by the fields of `ArchiveItem`.

        Raises:
            SchemaError: the line is not a JSON object.
        """
        try:
            values = orjson.loads(line.raw)
        except orjson.JSONDecodeError as error:
            raise SchemaError(f"record: invalid JSON: {error}", value=line.raw[:MAX_VALUE], where=where) from None
        if not isinstance(values, dict):
            raise SchemaError("record: not an object", value=line.raw[:MAX_VALUE], where=where)
        paths = {field_name: self.names.get(field_name, field_name) for field_name in ArchiveItem.model_fields}
        mapped = {field_name: _at_path(values, path) for field_name, path in paths.items()}
        return {field_name: value for field_name, value in mapped.items() if value is not None}


def names_of(maps: Sequence[str]) -> dict[str, str]:
    """Returns the field names of an archive, from texts such as `title=headline,published_at=date`.

    Raises:
        SettingsError: a part is not FIELD=NAME, or its field is none of `ArchiveItem`.
    """
    names: dict[str, str] = {}
    for part in (part.strip() for text in maps for part in text.split(",")):
        field_name, is_pair, name = (piece.strip() for piece in part.partition("="))
        if not (is_pair and name and field_name in ArchiveItem.model_fields):
            fields = ", ".join(ArchiveItem.model_fields)
            raise SettingsError(
                "not FIELD=NAME",
                value=part,
                where="--map",
                do=f"Write e.g. title=headline,published_at=date; the fields are {fields}.",
            )
        names[field_name] = name
    return names


def _at_path(values: Any, path: str) -> Any:
    """Returns the value of a field, or at a path of fields with dots; None if there is none."""
    if not isinstance(values, dict):
        return None
    if path in values:
        return values[path]
    first, dot, remainder = path.partition(".")
    return _at_path(values.get(first), remainder) if dot else None
