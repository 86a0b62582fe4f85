"""How records are written and read: the base of all records, ids, times and errors.

Unknown fields are ignored on reading, so a record of a newer `v` with more fields passes. Times are UTC with
millisecond resolution; ids are lower-case hex; a distribution sums to 1; offsets count code points, end exclusive.
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


def _to_utc_milliseconds(value: datetime) -> datetime:
    value = value.astimezone(UTC)
    beyond = value.microsecond % 1000
    return value.replace(microsecond=value.microsecond - beyond) if beyond else value


def from_ms(ms: int) -> datetime:
    """The UTC time of a number of milliseconds since 1970."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


def to_ms(time: datetime) -> int:
    """Returns a time as milliseconds since 1970."""
    return round(time.timestamp() * 1000)


Utc = Annotated[AwareDatetime, AfterValidator(_to_utc_milliseconds)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


def content_id(*parts: str) -> str:
    """Lower-case hex id (128 bits) of what identifies a thing; parts are length-prefixed so that none run together."""
    digest = blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()


class Record(BaseModel):
    """Base of all records and their parts: immutable, tolerant of fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, ser_json_inf_nan="null")

    def to_bytes(self) -> bytes:
        """This record as it stands on a topic: one line of JSON."""
        try:
            return orjson.dumps(_fields(self), default=_fields, option=orjson.OPT_UTC_Z)
        except TypeError:  # what only pydantic writes: names of another kind, whole numbers beyond 64 bits
            return self.__pydantic_serializer__.to_json(self, by_alias=True)

    @classmethod
    def written(cls, fields: Mapping[str, object]) -> bytes:
        """`to_bytes` of a record that is not built: `fields` are all of its fields, in order, of values that this
        process has made or has validated before. A part may be given as a record or as all of its fields."""
        try:
            return orjson.dumps(fields, default=_fields, option=orjson.OPT_UTC_Z)
        except TypeError:
            return cls.model_validate(fields).to_bytes()

    @classmethod
    def trusted(cls, **values: Any) -> Self:
        """A record of values that this process has made or has validated before: nothing is looked at, every required
        field must be there. Several times faster than the constructor, and than `model_construct`."""
        made = cls.__new__(cls)
        blank, fields = _blank(cls)
        _set(made, "__dict__", blank | values)
        _set(made, "__pydantic_fields_set__", fields)
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made


_set = object.__setattr__


def _fields(part: object) -> dict[str, Any]:
    """The fields of a record under the names that they are written by."""
    if isinstance(part, Record) and not _renames(type(part)):
        return part.__dict__
    raise TypeError(f"{type(part).__name__} is not written so")


@cache
def _renames(model: type[BaseModel]) -> bool:
    return any(field.alias is not None for field in model.model_fields.values())


@cache
def _blank(model: type[BaseModel]) -> tuple[dict[str, Any], set[str]]:
    """A record before anything is known of it: every field in order, the default or a mark that it is missing."""
    return {name: field.get_default() for name, field in model.model_fields.items()}, set(model.model_fields)


_R = TypeVar("_R")


def read_record(reader: TypeAdapter[_R], raw: bytes, where: str) -> _R:
    """Parse one record.

    Raises:
        SchemaError: naming the field, its value and `where` (topic, partition and offset, or file and line).
    """
    try:
        return reader.validator.validate_json(raw)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise schema_error(error, where) from None


def schema_error(error: ValidationError, where: str) -> SchemaError:
    """The first fault of a validation error, as a person reads it; the count of the others is told."""
    first, *others = error.errors(include_url=False, include_context=False)
    field = ".".join(str(part) for part in first["loc"]) or "record"
    more = f" (and {len(others)} more)" if others else ""
    return SchemaError(f"{field}: {first['msg']}{more}", value=first.get("input"), where=where)


def to_json(value: object) -> bytes:
    """JSON of anything made of models, datetimes and plain values, for the command line and state."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__name__} has no JSON form")
