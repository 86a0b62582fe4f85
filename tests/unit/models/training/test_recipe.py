"""Recipes: what a training run does, read from YAML, and the schedule that depends on nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from riskwire_models.data.augmentation import Augmentation
from riskwire_models.data.catalogue import data_set_by_name
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.labels import HEADS
from riskwire_models.errors import LicenceError, RecipeError
from riskwire_models.training.batches import batches_of
from riskwire_models.training.recipe import RECIPES, Distillation, EarlyStopping, Lora, Recipe, read_recipe

SHIPPED = sorted(path.stem for path in RECIPES.glob("*.yaml"))


def write_recipe(folder: Path, text: str) -> str:
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_reads_by_its_name_and_trains_only_on_commercial_sets(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.name == name
    assert tuple(recipe.heads) == tuple(HEADS)
    assert all(data_set_by_name(data_set).commercial for data_set in recipe.data)
    assert recipe == read_recipe(str(RECIPES / f"{name}.yaml"))


def test_the_recipes_of_the_base_models_ship() -> None:
    assert {"minilm", "teacher"} <= set(SHIPPED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepps: 3", r"my\.yaml: stepps: Extra inputs are not permitted"),
        ("steps: many", r"my\.yaml: steps: Input should be a valid integer"),
        ("steps: 0", r"my\.yaml: steps: Input should be greater than 0"),
        ("base: bert", r"my\.yaml: base: Input should be 'minilm' or 'mpnet'"),
        ("heads: {mood: 1.0}", r"my\.yaml: heads: .*unknown head 'mood'; known: sentiment, entities"),
        ("heads: {level: -1}", r"my\.yaml: heads\.level: Input should be greater than or equal to 0"),
        ("data: {tfnz: 1.0}", r"my\.yaml: data: .*unknown data set 'tfnz'; known: tfns"),
        ("data: {tfns: 1.5}", r"my\.yaml: data\.tfns: Input should be less than or equal to 1"),
        ("data: {}", r"my\.yaml: data: .*at least 1 item"),
        ("texts_of: [tfnz]", r"my\.yaml: recipe: .*texts_of names 'tfnz', which is not in data"),
        ("{data: {tfns: 1.0}, texts_of: [risk]}", r"texts_of names 'risk', which is not in data"),
        ("{data: {tfns: 1.0}, masks: {risk: [level]}}", r"masks names 'risk', which is not in data"),
        ("balance: {entities: 0.5}", r"balance: .*head 'entities' cannot be balanced; known: sentiment, topics"),
        ("masks: {risk: [mood]}", r"masks\.risk: unknown head 'mood'; known: sentiment"),
        ("layers: [0, 6]", r"layers \[0, 6\]: minilm has the layers 0 to 5"),
        ("layers: []", r"layers \[\]: at least one layer"),
        ("{base: mpnet, layers: [0, 12]}", r"layers \[0, 12\]: mpnet has the layers 0 to 11"),
        ("frozen_layers: 6", r"frozen_layers 6: at least one layer must be trained"),
        ("{layers: [0, 2], frozen_layers: 2}", r"frozen_layers 2: at least one layer must be trained"),
        ("augmentation: {typos: 0.1}", r"my\.yaml: augmentation\.typos: Extra inputs are not permitted"),
        ("augmentation: {typo: 1.1}", r"my\.yaml: augmentation\.typo: Input should be less than or equal to 1"),
        ("lora: {rank: 0}", r"my\.yaml: lora\.rank: Input should be greater than 0"),
        ("teacher: {weight: 0.5}", r"my\.yaml: teacher\.readings: Field required"),
        ("early_stopping: {patience: 0}", r"my\.yaml: early_stopping\.patience: Input should be greater than 0"),
        (
            "early_stopping: {figure: level.f2}",
            r"my\.yaml: early_stopping\.figure: .*'level\.f2'.* known: .*events\.f1",
        ),
        ("precision: float16", r"my\.yaml: precision: Input should be 'float32' or 'bfloat16'"),
        ("bundle: My Bundle", r"my\.yaml: bundle: String should match pattern"),
        ("steps: [", r"my\.yaml is not a recipe: "),
        ("- steps", r"my\.yaml is not a recipe: "),
        ("", r"my\.yaml is not a recipe: "),
    ],
)
def test_a_wrong_recipe_is_refused_with_field_and_value(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(write_recipe(tmp_path, text))


def test_every_wrong_field_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"seed: .*; stepps: "):
        read_recipe(write_recipe(tmp_path, "{stepps: 3, seed: -1}"))


def test_an_unknown_recipe_is_refused_with_the_names_of_those_that_ship() -> None:
    with pytest.raises(RecipeError, match=r"no recipe 'tiny': .*minilm.*teacher"):
        read_recipe("tiny")
    with pytest.raises(RecipeError, match=r"no recipe 'tiny\.yaml'"):
        read_recipe("tiny.yaml")


def test_the_name_of_a_recipe_is_that_of_its_file_unless_it_has_one(tmp_path: Path) -> None:
    assert read_recipe(write_recipe(tmp_path, "steps: 3")).name == "my"
    assert read_recipe(write_recipe(tmp_path, "name: yours")).name == "yours"


def test_a_head_that_a_recipe_does_not_weigh_has_weight_zero() -> None:
    recipe = Recipe(heads={"level": 2.0})
    assert recipe.heads == {**dict.fromkeys(HEADS, 0.0), "level": 2.0}


def test_a_recipe_with_a_set_that_only_measures_is_refused_before_training(tmp_path: Path) -> None:
    recipe = read_recipe(write_recipe(tmp_path, "data: {tfns: 1.0, phrasebank: 1.0}"))
    with pytest.raises(LicenceError, match=r"phrasebank .*must not be trained on"):
        training_corpus(tmp_path, recipe.data, recipe.seed)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(steps=7, seed=3, data={"tfns": 0.5, "gmb": 1.0}),
        Recipe(base="mpnet", layers=(0, 3, 11), least_count=2, masks={"risk": ("events",)}, texts_of=("risk",)),
        Recipe(lora=Lora(rank=4), teacher=Distillation(readings=Path("r.npz")), early_stopping=EarlyStopping()),
        Recipe(augmentation=Augmentation(names=0.2, typo=0.1), frozen_layers=2, layer_decay=0.9),
    ],
)
def test_a_recipe_survives_a_checkpoint_and_a_file(tmp_path: Path, recipe: Recipe) -> None:
    assert Recipe.from_dict(recipe.as_dict()) == recipe
    assert read_recipe(write_recipe(tmp_path, yaml.safe_dump(recipe.as_dict()))) == recipe


def test_the_rate_rises_in_the_warm_up_and_falls_to_zero() -> None:
    recipe = Recipe(steps=100, warm_up=0.1)
    rates = [recipe.rate_at(step) for step in range(101)]
    assert rates[:10] == sorted(rates[:10])
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == 0.0


@given(st.lists(st.integers(1, 96), min_size=1, max_size=300), st.integers(96, 600), st.integers(0, 5))
def test_every_row_is_in_one_batch_within_the_budget(lengths: list[int], budget: int, seed: int) -> None:
    batches = batches_of(lengths, budget=budget, seed=seed, pool=64)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(max(lengths[row] for row in batch) * len(batch) <= budget for batch in batches)
    assert batches == batches_of(lengths, budget=budget, seed=seed, pool=64)


def test_own_readings_go_before_those_that_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskwire_models.training.recipe.LABELS", tmp_path / "shipped")
    teacher = Distillation(readings=Path("readings.npz"))
    work = tmp_path / "work" / "finance-en"
    assert teacher.file_for(work) == tmp_path / "shipped" / "readings.npz"
    work.mkdir(parents=True)
    (work.parent / "readings.npz").touch()
    assert teacher.file_for(work) == work.parent / "readings.npz"


def test_a_run_goes_on_from_a_bundle_by_its_folder_or_by_the_name_of_one_that_ships(tmp_path: Path) -> None:
    assert Recipe().start_folder() is None
    assert Recipe(start_from=tmp_path / "finance-en").start_folder() == tmp_path / "finance-en"
    shipped = Recipe(start_from=Path("finance-en")).start_folder()
    assert shipped is not None
    assert (shipped / "bundle.json").is_file()
    assert Recipe(start_from=Path("mine")).start_folder() == Path("mine")


@pytest.mark.parametrize(
    "others", [{}, {"start_from": "finance-en", "early_stopping": {}}, {"start_from": "finance-en", "lora": {}}]
)
def test_an_average_with_the_start_needs_one_with_the_same_weights(others: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="average_with_start needs start_from"):
        Recipe.model_validate({"average_with_start": 0.5, **others})
