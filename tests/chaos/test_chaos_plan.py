"""The plan of faults depends only on its seed and options."""

from __future__ import annotations

import random

import pytest
from harness.faults.plan import FAULT_KINDS, plan_faults


def test_the_plan_depends_on_the_seed() -> None:
    plans = [list(plan_faults(40, 5.0, random.Random(seed))) for seed in (1, 1, 2)]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2]


@pytest.mark.parametrize("seed", range(20))
def test_as_many_faults_as_kinds_include_every_kind(seed: int) -> None:
    plan = list(plan_faults(len(FAULT_KINDS), 5.0, random.Random(seed)))
    assert {fault.kind for fault in plan} == set(FAULT_KINDS)


def test_a_combined_fault_has_two_or_three_different_parts() -> None:
    plan = list(plan_faults(400, 5.0, random.Random(3)))
    combined = [[part.kind for part in fault.parts] for fault in plan if fault.kind == "several at once"]
    assert len(combined) > 20
    assert all(len(set(kinds)) == len(kinds) in (2, 3) for kinds in combined)


def test_the_average_distance_of_faults_is_the_requested_one() -> None:
    plan = list(plan_faults(400, 5.0, random.Random(4)))
    assert 4.5 < sum(fault.after_s for fault in plan) / len(plan) < 5.5
