"""The rules of event alerts: which stories are told, in which tier, and when the same is new again.

`families.yaml` holds the rules that ship; a user's file overrides single values of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from riskwire.errors import SettingsError
from riskwire.records import EVENT_TYPES, Severity, Tier
from riskwire.settings.yaml_file import describe_type, parse_yaml, read_yaml

_SHIPPED: Final = "families.yaml"
_MAX_BYTES: Final = 1_000_000
_GAP: Final = "..."
"""Between the words of a phrase, any thirty characters."""
OTHER: Final = "other"
"""The family of a story whose event types are in no family, and its event type."""
TIER_RANK: Final[dict[str, int]] = {"none": 0, "digest": 1, "notice": 2, "page": 3}
_DAY_MS: Final = 86_400_000

RuleTier = Literal["none", "digest", "notice", "page"]
"""The tier of a rule; `none` never tells."""
_Share = Annotated[float, Field(ge=0.0, le=1.0)]


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
    mild: _Share | None = None
    relevance: _Share | None = None
    rearm_days: Annotated[float, Field(gt=0, le=3_650)] | None = None
    least_sources: Annotated[int, Field(ge=1, le=50)] | None = None
    severity: Severity | None = None

    def values(self) -> dict[str, Any]:
        """Returns the values that this rule decides, by name."""
        return self.model_dump(include=set(EventRule.__dataclass_fields__), exclude_none=True)


class _Family(RuleOverride):
    """A family of event types, in steps from bad to worse."""

    steps: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(default=(), max_length=9)


class _Words(_Strict):
    """Words that change what a title says."""

    feared: tuple[str, ...]
    denied: tuple[str, ...]
    not_denied: tuple[str, ...]
    relief: tuple[str, ...]
    types: dict[str, tuple[str, ...]]


class _Table(_Strict):
    """A complete file of rules."""

    near: _Share
    type_from: _Share
    corroborate_hours: Annotated[float, Field(gt=0, le=720)]
    memory_days: Annotated[float, Field(gt=0, le=3_650)]
    defaults: RuleOverride
    families: dict[str, _Family]
    types: dict[str, RuleOverride]
    words: _Words
    groups: dict[str, RuleOverride]
    targets: dict[str, RuleOverride]


@dataclass(frozen=True, slots=True)
class EventRule:
    """The rule for one event type on one target; see `families.yaml` for its values."""

    tier: RuleTier
    threshold: float
    doubtful: float
    adverse: float
    mild: float
    relevance: float
    rearm_days: float
    least_sources: int
    corroborated: RuleTier | None = None
    severity: Severity | None = None

    @property
    def rearm_ms(self) -> int:
        """The re-arm period in milliseconds."""
        return round(self.rearm_days * _DAY_MS)

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

    def __init__(self, table: _Table) -> None:
        """Takes a checked table; see `load_rules`."""
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
        self._table = table
        self._rules: dict[tuple[str, tuple[str, ...], str], EventRule] = {}

    def rule(self, event_type: str, target: str, groups: Sequence[str]) -> EventRule:
        """Returns the rule for an event type that has a place, on a target of these groups."""
        table = self._table
        key = (
            event_type,
            tuple([group for group in groups if group in table.groups]) if table.groups else (),
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
            values |= table.groups[group].values()
        if target:
            values |= table.targets[target].values()
        return EventRule(**values)

    def is_feared(self, title: str) -> bool:
        """Returns whether a title says that something may happen, and not that it has."""
        return self._feared.search(title.casefold()) is not None

    def is_denied(self, title: str) -> bool:
        """Returns whether a title says that the party denies something."""
        title = title.casefold()
        return self._denied.search(title) is not None and self._not_denied.search(title) is None

    def is_relief(self, title: str) -> bool:
        """Returns whether a title says that trouble ends or is less than feared."""
        return self._relief.search(title.casefold()) is not None

    def stated_type(self, text: str) -> str | None:
        """Returns the event type that the words of a sentence state; the first in the order of the file, else None."""
        text = text.casefold()
        return next((event_type for event_type, words in self._types if words.search(text)), None)

    @cached_property
    def _relief(self) -> re.Pattern[str]:
        return _pattern(self._table.words.relief)

    @cached_property
    def _types(self) -> list[tuple[str, re.Pattern[str]]]:
        return [(event_type, _pattern(words)) for event_type, words in self._table.words.types.items()]

    @cached_property
    def _feared(self) -> re.Pattern[str]:
        return _pattern(self._table.words.feared)

    @cached_property
    def _denied(self) -> re.Pattern[str]:
        return _pattern(self._table.words.denied)

    @cached_property
    def _not_denied(self) -> re.Pattern[str]:
        return _pattern(self._table.words.not_denied)


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
    missing = set(EventRule.__dataclass_fields__) - {"corroborated", "severity"} - set(table.defaults.values())
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
    for event_type in table.types:
        _check_type(event_type, "types", where)
        if event_type not in places:
            raise SettingsError("types: this event type is in no family", value=event_type, where=where)
    _check_rearm(table, where)
    for event_type in table.words.types:
        _check_type(event_type, "words.types", where)
        if event_type not in places:
            raise SettingsError("words.types: this event type is in no family", value=event_type, where=where)
    if OTHER not in places:
        raise SettingsError("families: no family has the event type `other`", where=where)
    return EventRules(table)


def _check_rearm(table: _Table, where: str) -> None:
    """Refuses a re-arm period that is longer than what is told is remembered."""
    named: list[tuple[str, RuleOverride]] = [("defaults", table.defaults)]
    for section in ("families", "types", "groups", "targets"):
        named += [(f"{section}.{name}", rule) for name, rule in getattr(table, section).items()]
    for place, rule in named:
        if rule.rearm_days is not None and rule.rearm_days > table.memory_days:
            what = f"{place}.rearm_days: longer than memory_days, which is {table.memory_days:g}"
            raise SettingsError(what, value=rule.rearm_days, where=where)


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
        names = [*_Table.model_fields] if len(first["loc"]) == 1 else [*_Family.model_fields]
        do = _suggestion(str(first["loc"][-1]), names)
        return SettingsError(f"{place}: there is no such rule{suffix}", where=where, do=do)
    return SettingsError(f"{place}: {first['msg']}{suffix}", value=first.get("input"), where=where)


def _suggestion(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known: {', '.join(names)}"


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Returns a pattern that finds any of these words or phrases.

    A trailing * of a word stands for any ending, and ... between words for any thirty characters.
    """
    alternatives = [_phrase_pattern(phrase) for phrase in words]
    return re.compile(rf"\b(?:{'|'.join(alternatives)})" if alternatives else r"(?!)")


def _phrase_pattern(phrase: str) -> str:
    pattern = ""
    for word in phrase.split():
        if word == _GAP:
            pattern += r"\b.{0,30}?"
        else:
            pattern += (r"\s+" if pattern and not pattern.endswith("?") else "") + r"\b" * pattern.endswith("?")
            pattern += re.escape(word.removesuffix("*")) + (r"\w*" if word.endswith("*") else r"\b")
    return pattern
