"""Which parameters a recipe trains, at which rate, and what adapters add to the model."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models.libraries import CAN_TRAIN, needs_training

from riskwire_models.training.recipe import Lora, Recipe

if CAN_TRAIN:
    import torch
    from small_models.encoder import small_model

    from riskwire_models.training.lora import add_lora, merge_lora
    from riskwire_models.training.model import MultiHeadModel
    from riskwire_models.training.train import parameter_groups, prepared_model

pytestmark = needs_training

KINDS = ("bert", "mpnet")
HEAD_PARAMETERS = ("sentiment.", "entities.", "target", "topics.", "risk_", "level.", "events.")


def rates_by_name(model: MultiHeadModel, recipe: Recipe) -> dict[str, tuple[float, float]]:
    """Returns learning rate and weight decay of each trained parameter, by its name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in parameter_groups(model, recipe)
        for parameter in group["params"]
    }


def layer_of(name: str) -> str:
    """Returns ``heads``, ``embeddings``, the number of a layer, or ``beside`` for what stands beside the layers."""
    if not name.startswith("encoder."):
        return "heads"
    if ".embeddings." in name or name.startswith("encoder.embeddings"):
        return "embeddings"
    return name.partition(".layer.")[2].partition(".")[0] or "beside"


@pytest.mark.parametrize("kind", KINDS)
def test_without_frozen_layers_every_parameter_is_trained(kind: str) -> None:
    model = small_model(kind)
    assert rates_by_name(model, Recipe()).keys() == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frozen", [1, 2])
def test_frozen_layers_and_the_embeddings_below_them_are_not_trained(kind: str, frozen: int) -> None:
    model = small_model(kind, layers=3)
    trained = rates_by_name(model, Recipe(frozen_layers=frozen))
    assert {layer_of(name) for name in trained} - {"beside"} == {"heads", *map(str, range(frozen, 3))}
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == trained.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_rate_falls_from_layer_to_layer_and_the_heads_have_their_own(kind: str) -> None:
    recipe = Recipe(encoder_rate=1e-4, head_rate=1e-3, layer_decay=0.5)
    rates: dict[str, set[float]] = {}
    for name, (rate, _) in rates_by_name(small_model(kind, layers=2), recipe).items():
        rates.setdefault(layer_of(name), set()).add(rate)
    expected = {"heads": {1e-3}, "1": {1e-4}, "0": {5e-5}, "embeddings": {2.5e-5}}
    assert rates == expected | ({"beside": {1e-4}} if kind == "mpnet" else {})


def test_biases_and_layer_norms_do_not_decay() -> None:
    model = small_model()
    sizes = {name: parameter.dim() for name, parameter in model.named_parameters()}
    for name, (_, decay) in rates_by_name(model, Recipe(weight_decay=0.1)).items():
        assert decay == (0.1 if sizes[name] > 1 else 0.0), name


@pytest.mark.parametrize("kind", KINDS)
def test_only_adapters_and_heads_are_trained_with_adapters(kind: str) -> None:
    model = small_model(kind)
    add_lora(model, Lora(rank=2))
    trained = rates_by_name(model, Recipe(lora=Lora(rank=2)))
    assert all("lora_" in name or name.startswith(HEAD_PARAMETERS) for name in trained)
    assert sum("lora_" in name for name in trained) == 2 * 3 * 2  # two matrices for three projections of two layers
    assert {layer_of(name) for name in trained} == {"heads", "0", "1"}


@pytest.mark.parametrize("kind", KINDS)
def test_merged_adapters_give_the_same_logits_in_a_model_of_the_usual_form(kind: str) -> None:
    model, usual = small_model(kind), small_model(kind)
    add_lora(model, Lora(rank=4, alpha=16.0))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.2)
    model.eval()
    ids = torch.randint(2, 50, (2, 12))
    expected = model(ids, torch.ones_like(ids))
    merge_lora(model)
    merged = model(ids, torch.ones_like(ids))
    for before, after in zip(expected, merged, strict=True):
        assert torch.allclose(before, after, atol=1e-5)
    assert not torch.allclose(merged[0], usual(ids, torch.ones_like(ids))[0], atol=1e-3)
    assert model.state_dict().keys() == usual.state_dict().keys()
    usual.restore(model.state_dict())


def test_new_adapters_change_nothing() -> None:
    model = small_model()
    ids = torch.randint(2, 50, (2, 12))
    expected = model(ids, torch.ones_like(ids))
    add_lora(model, Lora())
    for before, after in zip(expected, model.eval()(ids, torch.ones_like(ids)), strict=True):
        assert torch.equal(before, after)


def test_a_recipe_with_adapters_prepares_a_model_with_adapters(tmp_path: Path, small_bases: dict[str, Path]) -> None:
    names = [name for name, _ in prepared_model(Recipe(base="mpnet", lora=Lora()), tmp_path).named_parameters()]
    assert any("lora_" in name for name in names)
    assert not any("lora_" in name for name, _ in prepared_model(Recipe(base="mpnet"), tmp_path).named_parameters())
