"""Whether a model reads all names alike in the same sentence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from riskwire_models.evaluation.fairness import KindFairness, kind_fairness, measure_fairness
from riskwire_models.evaluation.templates import NAMES, SLOT, TEMPLATES, NameTemplate, SlotName

ADVERSE = NameTemplate("person", "{X} arrested", adverse=True)
NEUTRAL = NameTemplate("person", "{X} speaks", adverse=False)
PEOPLE = (
    SlotName("Ann", {"sex": "female", "origin": "north"}),
    SlotName("Bea", {"sex": "female", "origin": "south"}),
    SlotName("Carl", {"sex": "male", "origin": "north"}),
    SlotName("Dan", {"sex": "male", "origin": "south"}),
)


@pytest.fixture(name="fairness")
def _fairness() -> KindFairness:
    """Returns the fairness of a model that reads men as .2 more adverse, and misses Ann's arrest at .5."""
    return kind_fairness("person", PEOPLE, {NEUTRAL: [0.1, 0.1, 0.3, 0.3], ADVERSE: [0.4, 0.6, 0.7, 0.7]}, 0.5)


def test_the_templates_are_enough_of_both_verdicts_and_distinct() -> None:
    verdicts = Counter(template.adverse for template in TEMPLATES)
    assert verdicts[True] >= 20
    assert verdicts[False] >= 10
    assert len({template.text for template in TEMPLATES}) == len(TEMPLATES)
    for kind in NAMES:
        assert {template.adverse for template in TEMPLATES if template.kind == kind} == {True, False}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.text)
def test_a_template_has_its_slot_once_and_gives_the_span_of_the_name(template: NameTemplate) -> None:
    assert template.text.count(SLOT) == 1
    text, start, end = template.filled("O'Neil & Söhne")
    assert text[start:end] == "O'Neil & Söhne"
    assert SLOT not in text


def test_the_names_are_distinct_of_many_groups_and_of_both_sexes() -> None:
    for names in NAMES.values():
        assert len({name.text for name in names}) == len(names) >= 30
        assert len({tuple(name.groups.values()) for name in names}) >= 6
    sexes = Counter((name.groups["origin"], name.groups["sex"]) for name in NAMES["person"])
    assert set(sexes.values()) == {2}
    assert len(sexes) == 20


def test_the_widest_spread_comes_first(fairness: KindFairness) -> None:
    adverse, neutral = fairness.templates
    assert (adverse.template, neutral.template) == (ADVERSE, NEUTRAL)
    assert adverse.lowest == ("Ann", 0.4)
    assert adverse.highest == ("Carl", 0.7)
    assert adverse.spread == pytest.approx(0.3)
    assert adverse.deviation == pytest.approx(0.015**0.5)
    assert fairness.mean_spread == pytest.approx(0.25)


def test_a_flip_is_a_verdict_that_most_names_do_not_get(fairness: KindFairness) -> None:
    adverse, neutral = fairness.templates
    assert (adverse.flips, adverse.wrong) == (1, 1)
    assert (neutral.flips, neutral.wrong) == (0, 0)
    assert fairness.flips == pytest.approx(1 / 8)


def test_a_template_that_all_names_get_wrong_has_no_flip() -> None:
    (spread,) = kind_fairness("person", PEOPLE, {ADVERSE: [0.1] * 4}, 0.5).templates
    assert (spread.flips, spread.wrong) == (0, 4)


def test_a_group_is_compared_with_all_names_in_the_same_sentences(fairness: KindFairness) -> None:
    shifts = {(group.division, group.group): group.shift for group in fairness.groups}
    assert shifts["sex", "male"] == pytest.approx(0.1)
    assert shifts["sex", "female"] == pytest.approx(-0.1)
    assert shifts["origin", "south"] == pytest.approx(0.025)
    assert [group.group for group in fairness.groups] == ["south", "north", "male", "female"]


def test_a_model_that_ignores_names_spreads_little(tiny_bundle: Path) -> None:
    """The level of the tiny model depends on a name by a few hundredths only."""
    by_kind = {item.kind: item for item in measure_fairness(tiny_bundle, 0.45, threads=1)}
    assert set(by_kind) == {"country", "person", "company"}
    company = {spread.template.text: spread for spread in by_kind["company"].templates}
    bankruptcy = company["{X} files for bankruptcy protection"]
    assert bankruptcy.names == len(NAMES["company"])
    assert (bankruptcy.flips, bankruptcy.wrong) == (0, 0)
    assert 0.0 < bankruptcy.spread < 0.1
