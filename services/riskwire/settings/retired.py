"""Settings that there were once: whoever still gives one is told why it is not needed, and everything goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

RETIRED = {
    "store.history_wait_s": "a new target's history waits for as long as infer has not read what came before",
}
"""`section.key`, and why it is no longer needed."""


@dataclass(frozen=True, slots=True)
class Retired:
    """A setting that is given and no longer needed.

    Args:
        where: every place that gives it.
    """

    key: str
    where: tuple[str, ...]
    why: str


def without_retired(tree: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What is left of given settings, and the `section.key` of those that are retired; `tree` stays as it is."""
    left, found = dict(tree), []
    for name in RETIRED:
        section, _, key = name.partition(".")
        given = left.get(section)
        if isinstance(given, Mapping) and key in given:
            left[section] = {one: value for one, value in given.items() if one != key}
            found.append(name)
    return left, found


def gathered(found: list[tuple[str, str]]) -> list[Retired]:
    """One for each retired setting, of (`section.key`, where it is given)."""
    told: dict[str, Retired] = {}
    for key, where in found:
        one = told.get(key, Retired(key, (), RETIRED[key]))
        told[key] = replace(one, where=(*one.where, where))
    return list(told.values())
