"""The learning-rate schedule and the order of batches depend only on the recipe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from riskwire_models.data.batches import batches_of
from riskwire_models.training.recipe import Recipe


def test_the_rate_rises_in_the_warm_up_and_falls_to_zero() -> None:
    recipe = Recipe(steps=100, warm_up=0.1)
    rates = [recipe.rate_at(step) for step in range(101)]
    assert rates[:10] == sorted(rates[:10])
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == 0.0


def test_a_recipe_that_is_converted_to_a_dict_and_back_is_equal() -> None:
    recipe = Recipe(steps=7, seed=3, data_sets=("tfns", "gmb"))
    assert Recipe.from_dict(recipe.as_dict()) == recipe


@given(st.lists(st.integers(1, 96), min_size=1, max_size=300), st.integers(96, 600), st.integers(0, 5))
def test_every_row_is_in_one_batch_within_the_budget(lengths: list[int], budget: int, seed: int) -> None:
    batches = batches_of(lengths, budget=budget, seed=seed, pool=64)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(max(lengths[row] for row in batch) * len(batch) <= budget for batch in batches)
    assert batches == batches_of(lengths, budget=budget, seed=seed, pool=64)
