"""Writes and reads records: the base class of all records, content ids, times and errors.

Reading ignores unknown fields, so a record of a newer `v` with more fields is accepted. Times are UTC with millisecond
resolution. Ids are lower-case hex. A distribution sums to 1. Offsets count code points, end exclusive.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Annotated, Any, Self, TypeVar

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from riskwire.errors import SchemaError

EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 12, 31, tzinfo=UTC)
"""The range of times in records. It ends a year before the calendar of `datetime` does, so that windows and time zones
can be added to any time."""


def _to_utc_milliseconds(value: datetime) -> datetime:
    """Returns a time in UTC and in whole milliseconds, rounded down.

    Raises:
        ValueError: the time is outside `EARLIEST` to `LATEST`. Pydantic reports it as a fault of the field.
    """
    try:
        value = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time at the end of the calendar") from None
    if not EARLIEST <= value <= LATEST:
        raise ValueError("a time at the end of the calendar")
    remainder = value.microsecond % 1000
    return value.replace(microsecond=value.microsecond - remainder) if remainder else value


def from_ms(ms: int) -> datetime:
    """Returns the UTC time of a number of milliseconds since 1970."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


def to_ms(time: datetime) -> int:
    """Returns a time as milliseconds since 1970."""
    return round(time.timestamp() * 1000)


Utc = Annotated[AwareDatetime, AfterValidator(_to_utc_milliseconds)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


def content_id(*parts: str) -> str:
    """Returns an id of 128 bits, as lower-case hex, of the parts that identify a thing.

    Parts are prefixed by their length, so that ("ab", "c") and ("a", "bc") have different ids.
    """
    digest = blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()


class Record(BaseModel):
    """Base class of all records and their parts: immutable, ignores unknown fields."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, ser_json_inf_nan="null")

    def to_bytes(self) -> bytes:
        """Returns this record as the value of a message: one line of UTF-8 JSON, times in UTC with `Z`."""
        try:
            return orjson.dumps(_encodable(self), default=_encodable, option=orjson.OPT_UTC_Z)
        except TypeError:  # only pydantic can encode aliases, keys that are not strings, and integers over 64 bits
            return self.__pydantic_serializer__.to_json(self, by_alias=True)

    @classmethod
    def encode_fields(cls, fields: Mapping[str, object]) -> bytes:
        """Returns `to_bytes` of a record with these fields, without creating the record. Skips validation.

        Fields that orjson cannot encode are validated and encoded by pydantic, which is slower.

        Args:
            fields: every field of the record, in order, with valid values. A part can be a record or a mapping of all
                its fields.
        """
        try:
            return orjson.dumps(fields, default=_encodable, option=orjson.OPT_UTC_Z)
        except TypeError:
            return cls.model_validate(fields).to_bytes()

    @classmethod
    def unvalidated(cls, **values: Any) -> Self:
        """Returns a record of valid values, without validation: the caller supplies every required field.

        Fields that are missing from `values` get their defaults, and every field counts as set. Records share their
        default objects, since they are immutable. This is several times faster than the constructor and than
        `model_construct`.
        """
        record = cls.__new__(cls)
        defaults, field_names = _defaults(cls)
        _set(record, "__dict__", defaults | values)
        _set(record, "__pydantic_fields_set__", field_names)
        _set(record, "__pydantic_extra__", None)
        _set(record, "__pydantic_private__", None)
        return record


_set = object.__setattr__
"""Sets an attribute of an immutable record."""


def _encodable(part: object) -> dict[str, Any]:
    """Returns the fields of a record for orjson.

    Raises:
        TypeError: the part is no record, or has fields with aliases, which only pydantic can encode.
    """
    if isinstance(part, Record) and not _has_aliases(type(part)):
        return part.__dict__
    raise TypeError(f"orjson cannot encode {type(part).__name__}")


@cache
def _has_aliases(model: type[BaseModel]) -> bool:
    return any(field.alias is not None for field in model.model_fields.values())


@cache
def _defaults(model: type[BaseModel]) -> tuple[dict[str, Any], set[str]]:
    """Returns the default of every field in order (`PydanticUndefined` for a required one), and the field names."""
    return {name: field.get_default() for name, field in model.model_fields.items()}, set(model.model_fields)


_R = TypeVar("_R")


def read_record(reader: TypeAdapter[_R], raw: bytes, where: str) -> _R:
    """Parses a record from JSON and validates it.

    Args:
        reader: the type of the record.
        where: topic, partition and offset, or file and line, for the error.

    Raises:
        SchemaError: the record is not valid. The message names `where`, the field and its value.
    """
    try:
        return reader.validator.validate_json(raw)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise schema_error(error, where) from None


def schema_error(error: ValidationError, where: str) -> SchemaError:
    """Returns an error that names field and value of the first fault of a validation error and counts the others.

    Args:
        where: the place of the record or document, for the message.
    """
    first, *more_errors = error.errors(include_url=False, include_context=False)
    field = ".".join(str(part) for part in first["loc"]) or "record"
    suffix = f" (and {len(more_errors)} more)" if more_errors else ""
    return SchemaError(f"{field}: {first['msg']}{suffix}", value=first.get("input"), where=where)


def to_json(value: object) -> bytes:
    """Returns the JSON of a value that consists of models, datetimes and JSON types."""
    return orjson.dumps(value, default=_dump_model, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def _dump_model(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__name__} has no JSON form")
