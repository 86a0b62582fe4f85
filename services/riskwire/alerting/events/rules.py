"""The rules of event alerts: which stories are told, in which tier, and when the same is new again.

`families.yaml` holds the rules that ship; a user's file overrides single values of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from riskwire.alerting.events.weights import WeightRule
from riskwire.alerting.events.words import EventWords, WordLists
from riskwire.errors import SettingsError
from riskwire.records import EVENT_TYPES, Severity, Tier
from riskwire.settings.yaml_file import describe_type, parse_yaml, read_yaml

_SHIPPED: Final = "families.yaml"
_MAX_BYTES: Final = 1_000_000
OTHER: Final = "other"
"""The family of a story whose event types are in no family, and its event type."""
TIER_RANK: Final[dict[str, int]] = {"none": 0, "digest": 1, "notice": 2, "page": 3}
_DAY_MS: Final = 86_400_000

RuleTier = Literal["none", "digest", "notice", "page"]
"""The tier of a rule; `none` never tells."""
_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_Days = Annotated[float, Field(gt=0, le=3_650)]


class _Strict(BaseModel):
    """Base of the parts of a file of rules: no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleOverride(_Strict):
    """Values of a rule, each None where a more general rule decides."""

    tier: RuleTier | None = None
    corroborated: RuleTier | None = None
    threshold: _Share | None = None
    doubtful: _Share | None = None
    adverse: _Share | None = None
    outright: _Share | None = None
    mild: _Share | None = None
    relevance: _Share | None = None
    rearm_days: _Days | None = None
    settled_days: _Days | None = None
    least_sources: Annotated[int, Field(ge=1, le=50)] | None = None
    severity: Severity | None = None

    def values(self) -> dict[str, Any]:
        """Returns the values that this rule decides, by name."""
        return self.model_dump(include=set(EventRule.__dataclass_fields__), exclude_none=True)


class _Family(RuleOverride):
    """A family of event types, in steps from bad to worse."""

    steps: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(default=(), max_length=9)


class _Group(RuleOverride):
    """A rule for the targets of a group: those that the watchlist puts into it, and its members.

    Attributes:
        members: targets that belong to it whatever the watchlist says.
        spares: event types that the rule leaves alone.
    """

    members: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()


class _Table(_Strict):
    """A complete file of rules."""

    near: _Share
    type_from: _Share
    corroborate_hours: Annotated[float, Field(gt=0, le=720)]
    memory_days: _Days
    defaults: RuleOverride
    families: dict[str, _Family]
    types: dict[str, RuleOverride]
    words: WordLists
    weights: WeightRule
    groups: dict[str, _Group]
    targets: dict[str, RuleOverride]


@dataclass(frozen=True, slots=True)
class EventRule:
    """The rule for one event type on one target; see `families.yaml` for its values."""

    tier: RuleTier
    threshold: float
    doubtful: float
    adverse: float
    outright: float
    mild: float
    relevance: float
    rearm_days: float
    least_sources: int
    settled_days: float = 0.0
    corroborated: RuleTier | None = None
    severity: Severity | None = None

    @property
    def rearm_ms(self) -> int:
        """The re-arm period in milliseconds."""
        return round(self.rearm_days * _DAY_MS)

    @property
    def settled_ms(self) -> int:
        """The re-arm period in milliseconds after something was told that is done, and no more feared or planned."""
        return round(max(self.rearm_days, self.settled_days) * _DAY_MS)

    def tier_of(self, *, corroborated: bool) -> RuleTier:
        """Returns the tier of a material story."""
        if corroborated and self.corroborated and TIER_RANK[self.corroborated] > TIER_RANK[self.tier]:
            return self.corroborated
        return self.tier

    def severity_of(self, tier: Tier) -> Severity:
        """Returns the severity of an alert of a tier. Only a page is more than a warning."""
        if tier != "page":
            return "warning"
        return self.severity or "high"


@dataclass(frozen=True, slots=True)
class TypePlace:
    """The place of an event type: its family, and its step there, 0 for the least bad."""

    family: str
    step: int


class EventRules:
    """The rules in force, checked."""

    def __init__(self, table: _Table, words: EventWords | None = None) -> None:
        """Takes a checked table; see `load_rules`.

        Args:
            words: the words of the table, if they are known from other rules.
        """
        self.near = table.near
        self.type_from = table.type_from
        self.corroborate_ms = round(table.corroborate_hours * 3_600_000)
        self.memory_ms = round(table.memory_days * _DAY_MS)
        self.places = {
            event_type: TypePlace(family, step)
            for family, rule in table.families.items()
            for step, types in enumerate(rule.steps)
            for event_type in types
        }
        """By event type."""
        self.words = words or EventWords(table.words)
        self.weights = table.weights
        self._table = table
        self._member_groups: dict[str, list[str]] = {}
        """The groups of the rules that name a target as a member."""
        for group, rule in table.groups.items():
            for member in rule.members:
                self._member_groups.setdefault(member, []).append(group)
        self._rules: dict[tuple[str, tuple[str, ...], str], EventRule] = {}

    def with_types(self, types: Mapping[str, RuleOverride]) -> EventRules:
        """Returns these rules with other values for some event types, as a search for thresholds needs them."""
        table = self._table
        changed = {
            event_type: table.types.get(event_type, RuleOverride()).model_copy(update=rule.values())
            for event_type, rule in types.items()
        }
        return EventRules(table.model_copy(update={"types": {**table.types, **changed}}), self.words)

    def rule(self, event_type: str, target: str, groups: Sequence[str]) -> EventRule:
        """Returns the rule for an event type that has a place, on a target of these groups."""
        table = self._table
        member_of = self._member_groups.get(target, ())
        key = (
            event_type,
            tuple(dict.fromkeys([*member_of, *[group for group in groups if group in table.groups]])),
            target if target in table.targets else "",
        )
        rule = self._rules.get(key)
        if rule is None:
            rule = self._rules[key] = self._combined(*key)
        return rule

    def _combined(self, event_type: str, groups: Sequence[str], target: str) -> EventRule:
        table = self._table
        values = table.defaults.values() | table.families[self.places[event_type].family].values()
        if event_type in table.types:
            values |= table.types[event_type].values()
        for group in groups:
            if event_type not in table.groups[group].spares:
                values |= table.groups[group].values()
        if target:
            values |= table.targets[target].values()
        return EventRule(**values)


def load_rules(path: Path | None = None) -> EventRules:
    """Returns the rules that ship, with the values of a user's file in their place.

    Args:
        path: the user's file; None for the rules that ship.

    Raises:
        SettingsError: the file cannot be read, or a value is wrong. The message names the value and its place.
    """
    shipped = parse_yaml(files(__package__).joinpath(_SHIPPED).read_text("utf-8"), "the rules", _SHIPPED)
    assert isinstance(shipped, dict)
    if path is None:
        return _checked(shipped, _SHIPPED)
    where = str(path)
    own = read_yaml(path, "the file of rules", _MAX_BYTES)
    if own is None:
        own = {}
    if not isinstance(own, dict):
        raise SettingsError(f"the file of rules must be a mapping, and is {describe_type(own)}", where=where)
    return _checked(_overridden(shipped, own), where)


def _overridden(base: Mapping[Any, Any], own: Mapping[Any, Any]) -> dict[Any, Any]:
    """Returns nested mappings with the values of `own` in place of those of `base`; other values replace."""
    merged = dict(base)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = _overridden(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _checked(values: Mapping[Any, Any], where: str) -> EventRules:
    """Returns the rules of nested mappings.

    Raises:
        SettingsError: a value is wrong, or names an event type that does not exist or has two places or none.
    """
    try:
        table = _Table.model_validate(values)
    except ValidationError as error:
        raise _explained(error, where) from None
    missing = (
        set(EventRule.__dataclass_fields__)
        - {"corroborated", "severity", "settled_days"}
        - set(table.defaults.values())
    )
    if missing:
        raise SettingsError(f"defaults.{min(missing)} is missing", where=where)
    places: dict[str, str] = {}
    for family, rule in table.families.items():
        if not rule.steps:
            raise SettingsError(f"families.{family}.steps: a new family needs its event types", where=where)
        for event_type in [event_type for step in rule.steps for event_type in step]:
            _check_type(event_type, f"families.{family}.steps", where)
            if event_type in places:
                what = f"families.{family}.steps: this event type is also in the family {places[event_type]}"
                raise SettingsError(what, value=event_type, where=where)
            places[event_type] = family
    _check_rearm(table, where)
    table.weights.check(where)
    for place, event_types in _named_types(table):
        for event_type in event_types:
            _check_type(event_type, place, where)
            if event_type not in places:
                raise SettingsError(f"{place}: this event type is in no family", value=event_type, where=where)
    if OTHER not in places:
        raise SettingsError("families: no family has the event type `other`", where=where)
    return EventRules(table)


def _named_types(table: _Table) -> Iterator[tuple[str, Iterable[str]]]:
    """Yields the event types that a file of rules names outside of the families, by place."""
    yield "types", table.types
    for name in ("types", "outright", "done"):
        yield f"words.{name}", getattr(table.words, name)
    for group, rule in table.groups.items():
        yield f"groups.{group}.spares", rule.spares


def _check_rearm(table: _Table, where: str) -> None:
    """Refuses a re-arm period that is longer than what is told is remembered."""
    named: list[tuple[str, RuleOverride]] = [("defaults", table.defaults)]
    for section in ("families", "types", "groups", "targets"):
        named += [(f"{section}.{name}", rule) for name, rule in getattr(table, section).items()]
    for place, rule in named:
        for name, days in (("rearm_days", rule.rearm_days), ("settled_days", rule.settled_days)):
            if days is not None and days > table.memory_days:
                what = f"{place}.{name}: longer than memory_days, which is {table.memory_days:g}"
                raise SettingsError(what, value=days, where=where)


def _check_type(event_type: str, place: str, where: str) -> None:
    """Refuses an event type that does not exist."""
    if event_type not in EVENT_TYPES:
        do = _suggestion(event_type, EVENT_TYPES)
        raise SettingsError(f"{place}: there is no such event type", value=event_type, where=where, do=do)


def _explained(error: ValidationError, where: str) -> SettingsError:
    """Returns an error that names value and place of the first fault of a file of rules, and counts the others."""
    first, *more_errors = error.errors(include_url=False, include_context=False)
    place = ".".join(str(part) for part in first["loc"])
    suffix = f" (and {len(more_errors)} more)" if more_errors else ""
    if first["type"] == "extra_forbidden":
        of_section = (WeightRule,) if first["loc"][0] == "weights" else (_Family, _Group)
        parts = (_Table,) if len(first["loc"]) == 1 else of_section
        names = [name for part in parts for name in part.model_fields]
        do = _suggestion(str(first["loc"][-1]), names)
        return SettingsError(f"{place}: there is no such rule{suffix}", where=where, do=do)
    return SettingsError(f"{place}: {first['msg']}{suffix}", value=first.get("input"), where=where)


def _suggestion(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known: {', '.join(names)}"
