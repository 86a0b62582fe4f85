"""The watchlist: the entities that a risk team follows, as a YAML list or a CSV file with the same columns.

    - {id: aapl, name: Apple Inc., aliases: [Apple], tickers: [AAPL], isin: US0378331005, group: tech,
       exclude: [apple harvest], weight: 2.5}

`id` and `name` are required; a row of CSV without an id gets its ticker or ISIN. In CSV, `|` or `;` separates several
aliases, tickers or excluded phrases in a cell.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from riskwire.entities.isin import is_isin
from riskwire.entities.names import join_key, name_key
from riskwire.entities.watchlist_csv import csv_entries
from riskwire.errors import SettingsError, raise_faults
from riskwire.settings.yaml_file import describe_type, parse_yaml

_MAX_BYTES = 20_000_000
_CSV_SUFFIXES = (".csv", ".tsv")
ENTRY_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]*$"
"""The pattern of the id of an entry."""


def _checked_isin(isin: str) -> str:
    """Returns an ISIN in capitals.

    Raises:
        ValueError: the check digit or the form is wrong.
    """
    isin = isin.strip().upper()
    if not is_isin(isin):
        raise ValueError("not an ISIN: twelve characters of which the last is a check digit, as in US0378331005")
    return isin


def _number(weight: object) -> object:
    """Returns a weight for validation. Raises a ValueError for a truth value, which would count as a number."""
    if isinstance(weight, bool):
        raise ValueError("not a number")
    return weight


_Text = Annotated[str, Field(min_length=1, max_length=200)]
MAX_WEIGHT = 1e12
Weight = Annotated[float, Field(ge=0, le=MAX_WEIGHT, allow_inf_nan=False), BeforeValidator(_number)]
"""How large the exposure to an entry is, in any unit that all entries share."""


def has_control_character(text: str, *, allowed: str = "") -> bool:
    """Returns whether a text contains a control character or line break that is not in `allowed`."""
    return any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in text if char not in allowed)


class WatchedEntity(BaseModel):
    """One entry of the watchlist."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    id: str = Field(min_length=1, max_length=100, pattern=ENTRY_ID)
    name: _Text
    aliases: tuple[_Text, ...] = ()
    tickers: tuple[Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,14}$")], ...] = ()
    isin: Annotated[str, AfterValidator(_checked_isin)] | None = None
    group: _Text | None = None
    exclude: Annotated[tuple[_Text, ...], Field(max_length=100)] = ()
    """Phrases in which a name of the entry means something else, such as "gap year"."""
    weight: Weight = 1.0
    """How large the exposure to it is, such as its share of the book. It orders alerts, and may decide their tier."""

    @field_validator("tickers", mode="before")
    @classmethod
    def _upper_case(cls, value: object) -> object:
        """Returns tickers in capitals and without `$`; another value is returned as it is, for validation to refuse."""
        if isinstance(value, (list, tuple)):
            return tuple(ticker.strip().lstrip("$").upper() if isinstance(ticker, str) else ticker for ticker in value)
        return value

    @field_validator("name", "aliases", "exclude")
    @classmethod
    def _has_words(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        """Returns a name, aliases or excluded phrases unchanged.

        Raises:
            ValueError: a name has no letter or digit.
        """
        for name in (value,) if isinstance(value, str) else value:
            if not name_key(name):
                raise ValueError(f"{name!r} has no letter or digit")
        return value

    @property
    def target(self) -> str:
        """The id of the target."""
        return f"entity:{self.id}"

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the aliases."""
        return (self.name, *self.aliases)


@dataclass(frozen=True, slots=True)
class Watchlist:
    """Entities without a common name, ticker or ISIN.

    Raises:
        SettingsError: two entities claim the same id, name, ticker or ISIN.
    """

    entities: tuple[WatchedEntity, ...] = ()
    where: str = "watchlist"

    def __post_init__(self) -> None:
        """Checks that no two entries have a claim in common: an id, name, ticker or ISIN that identifies an entry.

        Names are compared in normalised form. An entry may claim the same twice.

        Raises:
            SettingsError: two entries claim the same; the message names the first such pair.
        """
        if faults := _double_claims(self.entities, self.where):
            raise faults[0]

    def __bool__(self) -> bool:
        return bool(self.entities)

    def members(self, group: str) -> tuple[WatchedEntity, ...]:
        """Returns the entities of a group."""
        return tuple(entity for entity in self.entities if entity.group == group)

    def group_weights(self) -> dict[str, float]:
        """Returns the weight of each group: that of its heaviest member."""
        weights: dict[str, float] = {}
        for entity in self.entities:
            if entity.group is not None:
                weights[entity.group] = max(entity.weight, weights.get(entity.group, 0.0))
        return weights


def _claims(entity: WatchedEntity) -> Iterable[tuple[str, str, str]]:
    """Yields the id, names, tickers and ISIN of an entry as (kind, normalised, original).

    They are claims: only one entry of a watchlist may have each. A ticker claims the same text as a name, too.
    """
    yield "id", entity.id.casefold(), entity.id
    for name in entity.names:
        yield "name", join_key(name_key(name)), name
    for ticker in entity.tickers:
        yield from ((kind, key, ticker) for kind, key in sorted(_ticker_claims(ticker), reverse=True))
    if entity.isin:
        yield "isin", entity.isin, entity.isin


def _double_claims(entities: Iterable[WatchedEntity], where: str) -> list[SettingsError]:
    """Returns an error for each pair of entries that claim the same id, name, ticker or ISIN: the first such claim."""
    claims: dict[tuple[str, str], WatchedEntity] = {}
    faults: dict[tuple[int, int], SettingsError] = {}
    for entity in entities:
        for kind, key, shown in _claims(entity):
            owner = claims.setdefault((kind, key), entity)
            if owner is not entity:
                problem = f"{owner.id!r} and {entity.id!r} both claim the {kind} {shown!r}"
                fault = SettingsError(problem, where=where, do="Give it to one of them")
                faults.setdefault((id(owner), id(entity)), fault)
    return list(faults.values())


def shared_claim(entity: WatchedEntity, other: WatchedEntity) -> str:
    """Returns a name, ticker or ISIN that two entries both claim, in words such as `name 'Apple'`; "" for none."""
    other_claims = {(kind, key) for kind, key, _ in _claims(other) if kind != "id"}
    return next((f"{kind} {shown!r}" for kind, key, shown in _claims(entity) if (kind, key) in other_claims), "")


def entry_fields(entity: WatchedEntity) -> dict[str, Any]:
    """Returns the fields of an entry, as in a watchlist file or a command: without those that have the default."""
    return entity.model_dump(mode="json", exclude_defaults=True)


def merge_entries(entities: Iterable[WatchedEntity], where: str = "watchlist") -> tuple[Watchlist, tuple[str, ...]]:
    """Returns a watchlist in which earlier entries have priority over later ones.

    A later entry with the same id is omitted. A later entry loses every name, ticker and ISIN that an earlier entry
    claims. It is omitted if nothing remains by which it could be found.

    Args:
        where: the source of the watchlist, for error messages.

    Returns:
        The watchlist, and a description of each lost claim and of each entry without a remaining one. Omitted entries
        with the id of an earlier one are not described.
    """
    claims: set[tuple[str, str]] = set()
    merged: list[WatchedEntity] = []
    lost: list[str] = []
    for entity in entities:
        if ("id", entity.id.casefold()) in claims:
            continue
        remaining, lost_claims = _without_claims(entity, claims)
        lost += [f"{entity.id!r} loses the {claim} to another entry" for claim in lost_claims]
        if remaining is None:
            lost.append(f"{entity.id!r} has no name left")
            continue
        merged.append(remaining)
        claims.update((kind, key) for kind, key, _ in _claims(remaining))
    return Watchlist(tuple(merged), where), tuple(lost)


def _without_claims(
    entity: WatchedEntity, claims: Set[tuple[str, str]]
) -> tuple[WatchedEntity | None, tuple[str, ...]]:
    """Returns the entry without these claims, or None if no name, ticker or ISIN remains; and its lost claims.

    An entry that loses its name gets its first remaining alias, ticker or ISIN as its name.

    Args:
        claims: (kind, normalised text) of every claim of other entries. A ticker is lost also if its text is a name.

    Returns:
        The entry, the same object if it loses nothing, and the lost claims in words, such as `ticker 'AAPL'`.
    """
    names = [name for name in entity.names if ("name", join_key(name_key(name))) not in claims]
    tickers = [ticker for ticker in entity.tickers if claims.isdisjoint(_ticker_claims(ticker))]
    isin = entity.isin if ("isin", entity.isin) not in claims else None
    lost = [
        *(f"name {name!r}" for name in entity.names if name not in names),
        *(f"ticker {ticker!r}" for ticker in entity.tickers if ticker not in tickers),
        *([f"ISIN {entity.isin!r}"] if isin != entity.isin else []),
    ]
    if not lost:
        return entity, ()
    name = next(iter([*names, *tickers, *([isin] if isin else [])]), None)
    if name is None:
        return None, tuple(lost)
    aliases = tuple(alias for alias in names if alias != name)
    return (
        entity.model_copy(update={"name": name, "aliases": aliases, "tickers": tuple(tickers), "isin": isin}),
        tuple(lost),
    )


def _ticker_claims(ticker: str) -> set[tuple[str, str]]:
    """Returns the claims of a ticker. It is also a name, because a mention can consist of the ticker."""
    return {("ticker", ticker), ("name", ticker.casefold().replace(".", "").replace("-", ""))}


def read_watchlist(path: Path) -> Watchlist:
    """Reads a watchlist: CSV if the file name ends in `.csv` or `.tsv`, else YAML.

    Raises:
        SettingsError: the file is not a watchlist. The message names the file, the entry and the field, or two entries
            and their common claim.
        ExceptionGroup: of SettingsError, if several entries are wrong.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > _MAX_BYTES:
            raise SettingsError(f"the watchlist is larger than {_MAX_BYTES} bytes", value=len(raw), where=str(path))
        text = raw.decode("utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except OSError as error:
        raise SettingsError("the watchlist cannot be read", where=str(path)) from error
    except UnicodeDecodeError as error:
        do = "Save it as UTF-8 (in Excel: CSV UTF-8)"
        raise SettingsError("the watchlist is not UTF-8", where=str(path), do=do) from error
    entries = _csv_rows(text, path) if path.suffix.lower() in _CSV_SUFFIXES else _yaml_entries(text, path)
    entities: list[WatchedEntity] = []
    faults: list[SettingsError] = []
    for position, entry in entries:
        try:
            entities.append(read_entry(entry, f"{path}: {position}"))
        except SettingsError as error:
            faults.append(error)
    faults += _double_claims(entities, str(path))
    raise_faults(faults, "the watchlist cannot be used")
    return Watchlist(tuple(entities), str(path))


def read_entry(entry: object, where: str) -> WatchedEntity:
    """Returns an entry that a person wrote, in a watchlist file, on the command line or to the API.

    Refuses unknown fields, and control characters in name, aliases, exclude and group.

    Args:
        where: the place of the entry, for the message.

    Raises:
        SettingsError: the entry is not valid. The message names `where`, the field and its value.
    """
    entity = _validate_entry(entry, where)
    for field, texts in {
        "name": (entity.name,),
        "aliases": entity.aliases,
        "exclude": entity.exclude,
        "group": (entity.group or "",),
    }.items():
        for text in texts:
            if has_control_character(text):
                raise SettingsError(f"{field}: has a control character", value=text, where=where)
    return entity


def _validate_entry(entry: object, where: str) -> WatchedEntity:
    """Returns the watchlist entry of a parsed value: a mapping of fields, from a file, a person or a record.

    Args:
        where: the place of the entry, for the message.

    Raises:
        SettingsError: the value is not an entry. The message names the first invalid field and counts the others.
    """
    if not isinstance(entry, dict):
        raise SettingsError("an entry must be a mapping with `id` and `name`", value=entry, where=where)
    try:
        return WatchedEntity.model_validate(entry)
    except ValidationError as error:
        first, *more_errors = error.errors(include_url=False)
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"]
        if first["type"] == "extra_forbidden":
            message = f"there is no such field; allowed: {', '.join(WatchedEntity.model_fields)}"
        elif first["type"] == "missing":
            message = "is required"
        suffix = f" (and {len(more_errors)} more)" if more_errors else ""
        raise SettingsError(f"{field}: {message}{suffix}", value=first.get("input"), where=where) from None


def read_recorded_entry(entry: object, where: str) -> WatchedEntity:
    """Returns an entry of a record. Unknown fields are ignored, because a newer riskwire may have written it.

    Unlike `read_entry`, accepts control characters.

    Args:
        where: the place of the record, for the message.

    Raises:
        SettingsError: the entry is not valid. The message names `where`, the field and its value.
    """
    if isinstance(entry, dict):
        entry = {field: value for field, value in entry.items() if field in WatchedEntity.model_fields}
    return _validate_entry(entry, where)


def _yaml_entries(text: str, path: Path) -> Sequence[tuple[str, object]]:
    """Returns the entries of a YAML watchlist as they were parsed, each after its position for messages.

    A position is "entry 1", counted from 1, or "entry 1 (aapl)" if the entry has an id. Entries are not validated.

    Args:
        path: the file, for messages.

    Raises:
        SettingsError: the text is not YAML, or not a list.
    """
    tree = parse_yaml(text, "the watchlist", str(path))
    if not isinstance(tree, list):
        raise SettingsError(f"the watchlist must be a list of entries, and is {describe_type(tree)}", where=str(path))
    return [(_position(f"entry {number}", entry), entry) for number, entry in enumerate(tree, 1)]


def _csv_rows(text: str, path: Path) -> Sequence[tuple[str, object]]:
    """Returns the rows of a CSV watchlist, each after its position, such as "line 2 (aapl)"; see `csv_entries`."""
    return [(_position(line, entry), entry) for line, entry in csv_entries(text, path)]


def _position(position: str, entry: object) -> str:
    """Returns the position of an entry in its file, with the id of the entry if it has one."""
    has_id = isinstance(entry, dict) and isinstance(entry.get("id"), str)
    return f"{position} ({entry['id']})" if isinstance(entry, dict) and has_id else position
