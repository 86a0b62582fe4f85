"""The watchlist: what a risk team holds, as a YAML list or a CSV file with the same columns.

    - {id: aapl, name: Apple Inc., aliases: [Apple], tickers: [AAPL], isin: US0378331005, group: tech}

`id` and `name` are needed. In CSV several aliases or tickers stand in one cell, separated by `|` or `;`.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from riskwire.entities.isin import is_isin
from riskwire.entities.names import joined, name_key
from riskwire.errors import SettingsError
from riskwire.settings.yaml_file import describe_type, parse_yaml

_MOST_BYTES = 20_000_000
ENTRY_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]*$"
"""What the id of an entry is made of."""


def _checked_isin(isin: str) -> str:
    isin = isin.strip().upper()
    if not is_isin(isin):
        raise ValueError("not an ISIN: twelve characters of which the last is a check digit, as in US0378331005")
    return isin


_Text = Annotated[str, Field(min_length=1, max_length=200)]


def has_control(text: str, *, but: str = "") -> bool:
    """Whether a text holds what steers a terminal or breaks a line, other than `but`."""
    return any(unicodedata.category(each) in ("Cc", "Zl", "Zp") for each in text if each not in but)


class WatchedEntity(BaseModel):
    """One entry of the watchlist."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    id: str = Field(min_length=1, max_length=100, pattern=ENTRY_ID)
    name: _Text
    aliases: tuple[_Text, ...] = ()
    tickers: tuple[Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,14}$")], ...] = ()
    isin: Annotated[str, AfterValidator(_checked_isin)] | None = None
    group: _Text | None = None

    @field_validator("tickers", mode="before")
    @classmethod
    def _upper_case(cls, value: object) -> object:
        if isinstance(value, (list, tuple)):
            return tuple(one.strip().lstrip("$").upper() if isinstance(one, str) else one for one in value)
        return value

    @field_validator("name", "aliases")
    @classmethod
    def _has_words(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for one in (value,) if isinstance(value, str) else value:
            if not name_key(one):
                raise ValueError(f"{one!r} has no letter or digit")
        return value

    @property
    def target(self) -> str:
        """The target its trend is kept for."""
        return f"entity:{self.id}"

    @property
    def names(self) -> tuple[str, ...]:
        """Name and aliases."""
        return (self.name, *self.aliases)


@dataclass(frozen=True, slots=True)
class Watchlist:
    """Entities of which no two claim one name, ticker or ISIN; raises SettingsError when two do."""

    entities: tuple[WatchedEntity, ...] = ()
    where: str = "watchlist"

    def __post_init__(self) -> None:
        claims: dict[tuple[str, str], WatchedEntity] = {}
        for entity in self.entities:
            for kind, key, shown in _claims(entity):
                other = claims.setdefault((kind, key), entity)
                if other is not entity:
                    raise SettingsError(
                        f"{other.id!r} and {entity.id!r} both claim the {kind} {shown!r}",
                        where=self.where,
                        do="Give it to one of them",
                    )

    def __bool__(self) -> bool:
        return bool(self.entities)

    def members(self, group: str) -> tuple[WatchedEntity, ...]:
        """The entities of a group."""
        return tuple(entity for entity in self.entities if entity.group == group)


def _claims(entity: WatchedEntity) -> Iterable[tuple[str, str, str]]:
    yield "id", entity.id.casefold(), entity.id
    for name in entity.names:
        yield "name", joined(name_key(name)), name
    for ticker in entity.tickers:
        yield from ((kind, key, ticker) for kind, key in sorted(_ticker_claims(ticker), reverse=True))
    if entity.isin:
        yield "isin", entity.isin, entity.isin


def written_entry(entity: WatchedEntity) -> dict[str, Any]:
    """An entry as a watchlist file or a command has it: without what it leaves open."""
    return entity.model_dump(mode="json", exclude_defaults=True)


def layered(entities: Iterable[WatchedEntity], where: str = "watchlist") -> tuple[Watchlist, tuple[str, ...]]:
    """The watchlist of entries of which an earlier one goes before a later.

    A later entry of the same id is left out; of what else an earlier one claims, a later one loses the claim: the
    name, the ticker, the ISIN. One that has nothing left to be found by is left out.

    Returns:
        the watchlist, and what was lost, in words; ids that were replaced are not told.
    """
    claims: set[tuple[str, str]] = set()
    kept: list[WatchedEntity] = []
    lost: list[str] = []
    for entity in entities:
        if ("id", entity.id.casefold()) in claims:
            continue
        left, without = _without_claims(entity, claims)
        lost += [f"{entity.id!r} no longer stands for the {one}: another entry does" for one in without]
        if left is None:
            lost.append(f"{entity.id!r} has no name left")
            continue
        kept.append(left)
        claims.update((kind, key) for kind, key, _ in _claims(left))
    return Watchlist(tuple(kept), where), tuple(lost)


def _without_claims(
    entity: WatchedEntity, claims: Set[tuple[str, str]]
) -> tuple[WatchedEntity | None, tuple[str, ...]]:
    names = [one for one in entity.names if ("name", joined(name_key(one))) not in claims]
    tickers = [one for one in entity.tickers if claims.isdisjoint(_ticker_claims(one))]
    isin = entity.isin if ("isin", entity.isin) not in claims else None
    without = [
        *(f"name {one!r}" for one in entity.names if one not in names),
        *(f"ticker {one!r}" for one in entity.tickers if one not in tickers),
        *([f"ISIN {entity.isin!r}"] if isin != entity.isin else []),
    ]
    if not without:
        return entity, ()
    name = next(iter([*names, *tickers, *([isin] if isin else [])]), None)
    if name is None:
        return None, tuple(without)
    aliases = tuple(one for one in names if one != name)
    return (
        entity.model_copy(update={"name": name, "aliases": aliases, "tickers": tuple(tickers), "isin": isin}),
        tuple(without),
    )


def _ticker_claims(ticker: str) -> set[tuple[str, str]]:
    return {("ticker", ticker), ("name", ticker.casefold().replace(".", "").replace("-", ""))}


def read_watchlist(path: Path) -> Watchlist:
    """Read a watchlist: CSV where the name ends in `.csv`, else YAML.

    Raises:
        SettingsError: naming the file, the entry and the field; or two entries and what both claim.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > _MOST_BYTES:
            raise SettingsError(f"the watchlist is larger than {_MOST_BYTES} bytes", value=len(raw), where=str(path))
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise SettingsError("the watchlist cannot be read", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise SettingsError("the watchlist is not UTF-8", where=str(path), do="Save it as UTF-8") from error
    entries = _csv_entries(text, path) if path.suffix.lower() == ".csv" else _yaml_entries(text, path)
    return Watchlist(tuple(read_entry(entry, f"{path}: {place}") for place, entry in entries), str(path))


def read_entry(entry: object, where: str) -> WatchedEntity:
    """One entry, as a person writes it in a watchlist file or to the API.

    Raises:
        SettingsError: naming `where`, the field and its value.
    """
    entity = _entry(entry, where)
    for field, texts in {"name": (entity.name,), "aliases": entity.aliases, "group": (entity.group or "",)}.items():
        for text in texts:
            if has_control(text):
                raise SettingsError(f"{field}: has a control character", value=text, where=where)
    return entity


def _entry(entry: object, where: str) -> WatchedEntity:
    if not isinstance(entry, dict):
        raise SettingsError("an entry must be a mapping with `id` and `name`", value=entry, where=where)
    try:
        return WatchedEntity.model_validate(entry)
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"]
        if first["type"] == "extra_forbidden":
            message = f"there is no such field; there are {', '.join(WatchedEntity.model_fields)}"
        elif first["type"] == "missing":
            message = "is needed"
        more = f" (and {len(others)} more)" if others else ""
        raise SettingsError(f"{field}: {message}{more}", value=first.get("input"), where=where) from None


def recorded_entry(entry: object, where: str) -> WatchedEntity:
    """One entry of a record, whose unknown fields are passed over: a newer riskwire may have written it.

    Raises:
        SettingsError: naming `where`, the field and its value.
    """
    if isinstance(entry, dict):
        entry = {field: value for field, value in entry.items() if field in WatchedEntity.model_fields}
    return _entry(entry, where)


def _yaml_entries(text: str, path: Path) -> Sequence[tuple[str, object]]:
    tree = parse_yaml(text, "the watchlist", str(path))
    if not isinstance(tree, list):
        raise SettingsError(f"the watchlist must be a list of entries, and is {describe_type(tree)}", where=str(path))
    return [(_place(f"entry {at}", entry), entry) for at, entry in enumerate(tree, 1)]


def _place(place: str, entry: object) -> str:
    return f"{place} ({entry['id']})" if isinstance(entry, dict) and isinstance(entry.get("id"), str) else place


def _csv_entries(text: str, path: Path) -> Sequence[tuple[str, object]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    entries: list[tuple[str, object]] = []
    try:
        columns = [column.strip() for column in reader.fieldnames or ()]
        unknown = [column for column in columns if column not in WatchedEntity.model_fields]
        if unknown or not columns:
            raise SettingsError(
                f"the columns must be among {', '.join(WatchedEntity.model_fields)}", value=unknown, where=str(path)
            )
        reader.fieldnames = columns
        for row in reader:
            place = f"line {reader.line_num}"
            if None in row:
                raise SettingsError("more cells than columns", value=row[None], where=f"{path}: {place}")
            entry = {column: cell.strip() for column, cell in row.items() if cell and cell.strip()}
            entries.append((_place(place, entry), _listed(entry)))
    except csv.Error as error:
        raise SettingsError("the watchlist is not CSV", where=f"{path}: line {reader.line_num}") from error
    return entries


def _listed(entry: dict[str, str]) -> dict[str, Any]:
    lists: dict[str, Any] = {
        column: [part for one in entry[column].split("|") for part in one.split(";") if part.strip()]
        for column in ("aliases", "tickers")
        if column in entry
    }
    return {**entry, **lists}
