"""A plan of faults follows from its seed."""

from __future__ import annotations

import random

import pytest
from harness.plan import KINDS, faults


def test_the_same_seed_gives_the_same_faults_and_another_seed_gives_others() -> None:
    plan = [list(faults(40, 5.0, random.Random(seed))) for seed in (1, 1, 2)]
    assert plan[0] == plan[1]
    assert plan[0] != plan[2]


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_comes_where_there_are_as_many_faults_as_kinds(seed: int) -> None:
    plan = list(faults(len(KINDS), 5.0, random.Random(seed)))
    assert {fault.kind for fault in plan} == set(KINDS)


def test_faults_that_come_together_are_two_or_three_different_ones() -> None:
    plan = list(faults(400, 5.0, random.Random(3)))
    together = [[part.kind for part in fault.parts] for fault in plan if fault.kind == "several at once"]
    assert len(together) > 20
    assert all(len(set(kinds)) == len(kinds) in (2, 3) for kinds in together)


def test_faults_are_as_far_apart_as_asked_in_the_mean() -> None:
    plan = list(faults(400, 5.0, random.Random(4)))
    assert 4.5 < sum(fault.after_s for fault in plan) / len(plan) < 5.5
