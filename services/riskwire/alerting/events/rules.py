"""The rules of event alerts: which stories notify, in which tier, and when a repeated event counts as new.

`families.yaml` holds the shipped rules; a user's file overrides single values of them.
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

_SHIPPED_FILE: Final = "families.yaml"
_MAX_BYTES: Final = 1_000_000
OTHER: Final = "other"
"""The family and the event type of a story whose event types are in no family."""
TIER_RANK: Final[dict[str, int]] = {"none": 0, "digest": 1, "notice": 2, "page": 3}
_DAY_MS: Final = 86_400_000

RuleTier = Literal["none", "digest", "notice", "page"]
"""The tier of a rule; a story of the tier `none` never notifies."""
_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_Days = Annotated[float, Field(gt=0, le=3_650)]


class _Strict(BaseModel):
    """Base of the parts of a rule file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleOverride(_Strict):
    """Values of a rule. None means that a more general rule sets the value."""

    tier: RuleTier | None = None
    corroborated: RuleTier | None = None
    threshold: _Share | None = None
    doubtful: _Share | None = None
    adverse: _Share | None = None
    outright: _Share | None = None
    mild: _Share | None = None
    relevance: _Share | None = None
    text_only: _Share | None = None
    rearm_days: _Days | None = None
    settled_days: _Days | None = None
    least_sources: Annotated[int, Field(ge=1, le=50)] | None = None
    severity: Severity | None = None

    def given_values(self) -> dict[str, Any]:
        """Returns the values that this rule gives, by name."""
        return self.model_dump(include=set(EventRule.__dataclass_fields__), exclude_none=True)


class _Family(RuleOverride):
    """A family of event types, in steps of increasing severity."""

    steps: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(default=(), max_length=9)


class _Group(RuleOverride):
    """A rule for the targets of a group: those that the watchlist assigns to it, and its members.

    Attributes:
        members: targets that always belong to the group, also without the watchlist.
        spares: event types to which the rule does not apply.
    """

    members: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()


class _RuleFile(_Strict):
    """A complete rule file."""

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
    text_only: float
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
        """The re-arm period in milliseconds after a completed fact, such as a filing, was reported."""
        return round(max(self.rearm_days, self.settled_days) * _DAY_MS)

    def tier_of(self, *, corroborated: bool) -> RuleTier:
        """Returns the tier of a material story."""
        if corroborated and self.corroborated and TIER_RANK[self.corroborated] > TIER_RANK[self.tier]:
            return self.corroborated
        return self.tier

    def severity_of(self, tier: Tier) -> Severity:
        """Returns the severity of an alert of a tier. Only a page can be more severe than a warning."""
        if tier != "page":
            return "warning"
        return self.severity or "high"


@dataclass(frozen=True, slots=True)
class TypePlace:
    """The place of an event type: its family, and its step in the family; step 0 is the least severe."""

    family: str
    step: int


class EventRules:
    """The checked rules in force."""

    def __init__(self, rule_file: _RuleFile, words: EventWords | None = None) -> None:
        """Takes a checked rule file; see `load_rules`.

        Args:
            words: the compiled words of the rule file, if other rules have them already.
        """
        self.near = rule_file.near
        self.type_from = rule_file.type_from
        self.corroborate_ms = round(rule_file.corroborate_hours * 3_600_000)
        self.memory_ms = round(rule_file.memory_days * _DAY_MS)
        self.places = {
            event_type: TypePlace(family, step)
            for family, rule in rule_file.families.items()
            for step, types in enumerate(rule.steps)
            for event_type in types
        }
        """The place of each event type."""
        self.words = words or EventWords(rule_file.words)
        self.weights = rule_file.weights
        self._rule_file = rule_file
        self._member_groups: dict[str, list[str]] = {}
        """The rule groups of each target that is named as a member."""
        for group, rule in rule_file.groups.items():
            for member in rule.members:
                self._member_groups.setdefault(member, []).append(group)
        self._rules: dict[tuple[str, tuple[str, ...], str], EventRule] = {}

    def with_types(self, types: Mapping[str, RuleOverride]) -> EventRules:
        """Returns these rules with other values for some event types, for a search of thresholds."""
        rule_file = self._rule_file
        changed = {
            event_type: rule_file.types.get(event_type, RuleOverride()).model_copy(update=rule.given_values())
            for event_type, rule in types.items()
        }
        return EventRules(rule_file.model_copy(update={"types": {**rule_file.types, **changed}}), self.words)

    def rule(self, event_type: str, target: str, groups: Sequence[str]) -> EventRule:
        """Returns the rule for an event type that has a place, and for a target in these groups."""
        rule_file = self._rule_file
        member_groups = self._member_groups.get(target, ())
        key = (
            event_type,
            tuple(dict.fromkeys([*member_groups, *[group for group in groups if group in rule_file.groups]])),
            target if target in rule_file.targets else "",
        )
        rule = self._rules.get(key)
        if rule is None:
            rule = self._rules[key] = self._combined_rule(*key)
        return rule

    def _combined_rule(self, event_type: str, groups: Sequence[str], target: str) -> EventRule:
        rule_file = self._rule_file
        values = rule_file.defaults.given_values() | rule_file.families[self.places[event_type].family].given_values()
        if event_type in rule_file.types:
            values |= rule_file.types[event_type].given_values()
        for group in groups:
            if event_type not in rule_file.groups[group].spares:
                values |= rule_file.groups[group].given_values()
        if target:
            values |= rule_file.targets[target].given_values()
        values["doubtful"] = min(values["doubtful"], values["threshold"])  # a user may lower the threshold alone
        return EventRule(**values)


def load_rules(path: Path | None = None) -> EventRules:
    """Returns the shipped rules, overridden by the values of a user's file.

    Args:
        path: the user's file; None for the shipped rules.

    Raises:
        SettingsError: the file cannot be read, or a value is wrong. The message names the value and its key.
    """
    shipped = parse_yaml(files(__package__).joinpath(_SHIPPED_FILE).read_text("utf-8"), "the rules", _SHIPPED_FILE)
    assert isinstance(shipped, dict)
    if path is None:
        return _checked_rules(shipped, _SHIPPED_FILE)
    where = str(path)
    overrides = read_yaml(path, "the file of rules", _MAX_BYTES)
    if overrides is None:
        overrides = {}
    if not isinstance(overrides, dict):
        raise SettingsError(f"the file of rules must be a mapping, and is {describe_type(overrides)}", where=where)
    return _checked_rules(_merged(shipped, overrides), where)


def _merged(base: Mapping[Any, Any], overrides: Mapping[Any, Any]) -> dict[Any, Any]:
    """Returns a mapping with the values of `overrides` in place of those of `base`. Nested mappings are merged."""
    merged = dict(base)
    for key, value in overrides.items():
        base_value = merged.get(key)
        if isinstance(base_value, dict) and isinstance(value, dict):
            merged[key] = _merged(base_value, value)
        else:
            merged[key] = value
    return merged


def _checked_rules(contents: Mapping[Any, Any], where: str) -> EventRules:
    """Returns the rules of a rule file.

    Args:
        contents: the parsed file.
        where: the name of the file, for errors.

    Raises:
        SettingsError: a value is wrong, or an event type does not exist, is in two families or is in none.
    """
    try:
        rule_file = _RuleFile.model_validate(contents)
    except ValidationError as error:
        raise _settings_error(error, where) from None
    missing = (
        set(EventRule.__dataclass_fields__)
        - {"corroborated", "severity", "settled_days"}
        - set(rule_file.defaults.given_values())
    )
    if missing:
        raise SettingsError(f"defaults.{min(missing)} is missing", where=where)
    family_by_type: dict[str, str] = {}
    for family, rule in rule_file.families.items():
        if not rule.steps:
            raise SettingsError(f"families.{family}.steps: a new family needs its event types", where=where)
        for event_type in [event_type for step in rule.steps for event_type in step]:
            _check_type(event_type, f"families.{family}.steps", where)
            if event_type in family_by_type:
                message = f"families.{family}.steps: this event type is also in the family {family_by_type[event_type]}"
                raise SettingsError(message, value=event_type, where=where)
            family_by_type[event_type] = family
    _check_rearm(rule_file, where)
    rule_file.weights.check(where)
    for key, event_types in _named_types(rule_file):
        for event_type in event_types:
            _check_type(event_type, key, where)
            if event_type not in family_by_type:
                raise SettingsError(f"{key}: this event type is in no family", value=event_type, where=where)
    if OTHER not in family_by_type:
        raise SettingsError("families: no family has the event type `other`", where=where)
    return EventRules(rule_file)


def _named_types(rule_file: _RuleFile) -> Iterator[tuple[str, Iterable[str]]]:
    """Yields the keys under which a rule file names event types outside of the families, with these types."""
    yield "types", rule_file.types
    for name in ("types", "outright", "done"):
        yield f"words.{name}", getattr(rule_file.words, name)
    for group, rule in rule_file.groups.items():
        yield f"groups.{group}.spares", rule.spares


def _check_rearm(rule_file: _RuleFile, where: str) -> None:
    """Refuses a re-arm period that is longer than `memory_days`, for which reported events are remembered."""
    rules_by_key = {"defaults": rule_file.defaults}
    for section in ("families", "types", "groups", "targets"):
        rules_by_key |= {f"{section}.{name}": rule for name, rule in getattr(rule_file, section).items()}
    for key, rule in rules_by_key.items():
        for name, days in (("rearm_days", rule.rearm_days), ("settled_days", rule.settled_days)):
            if days is not None and days > rule_file.memory_days:
                message = f"{key}.{name}: longer than memory_days, which is {rule_file.memory_days:g}"
                raise SettingsError(message, value=days, where=where)


def _check_type(event_type: str, key: str, where: str) -> None:
    """Refuses an event type that does not exist."""
    if event_type not in EVENT_TYPES:
        advice = _suggestion(event_type, EVENT_TYPES)
        raise SettingsError(f"{key}: there is no such event type", value=event_type, where=where, do=advice)


def _settings_error(error: ValidationError, where: str) -> SettingsError:
    """Returns an error that names the value and the key of the first fault of a rule file, and counts the others."""
    first, *more_errors = error.errors(include_url=False, include_context=False)
    key = ".".join(str(part) for part in first["loc"])
    suffix = f" (and {len(more_errors)} more)" if more_errors else ""
    if first["type"] == "extra_forbidden":
        section_models = (WeightRule,) if first["loc"][0] == "weights" else (_Family, _Group)
        models = (_RuleFile,) if len(first["loc"]) == 1 else section_models
        names = [name for model in models for name in model.model_fields]
        advice = _suggestion(str(first["loc"][-1]), names)
        return SettingsError(f"{key}: there is no such rule{suffix}", where=where, do=advice)
    return SettingsError(f"{key}: {first['msg']}{suffix}", value=first.get("input"), where=where)


def _suggestion(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known: {', '.join(names)}"
