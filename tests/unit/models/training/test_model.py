"""The model of six heads on either encoder, and its checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models.libraries import CAN_TRAIN, needs_training

from riskwire_models.data.encoding import load_tokenizer
from riskwire_models.data.labels import HEADS
from riskwire_models.data.vocabulary import needed_pieces, trimmed_tokenizer
from riskwire_models.errors import CheckpointError
from riskwire_models.training.recipe import EarlyStopping, Recipe

if CAN_TRAIN:
    import torch
    from small_models.encoder import small_model, write_base
    from tokenizers import Tokenizer

    from riskwire_models.training.checkpoint import Checkpoint, best_weights, load_checkpoint
    from riskwire_models.training.model import untrained_model

pytestmark = needs_training

KINDS = ("bert", "mpnet")
WORDS = ["acme", "falls", "bank", "##s", "plunges"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_outputs_have_the_documented_shapes(kind: str) -> None:
    ids = torch.randint(0, 50, (2, 16))
    outputs = small_model(kind)(ids, torch.ones_like(ids))
    assert [tuple(output.shape) for output in outputs] == [
        (2, 3),
        (2, 16, 9),
        (2, 16, 3),
        (2, 20),
        (2, 16, 4),
        (2, 16, 42),
    ]
    assert [output.shape[-1] for output in outputs] == [len(labels) for labels in HEADS.values()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padding", [0, 1, 7])
def test_padding_changes_the_logits_by_rounding_only(kind: str, padding: int) -> None:
    """Whatever id the padding has: the vocabulary of MPNet pads with another id than the batches do."""
    model, ids = small_model(kind), torch.randint(2, 50, (1, 8))
    padded = torch.cat([ids, torch.full((1, 8), padding)], dim=1)
    mask = torch.cat([torch.ones(1, 8), torch.zeros(1, 8)], dim=1).long()
    for logits, padded_logits in zip(model(ids, torch.ones_like(ids)), model(padded, mask), strict=True):
        compared = padded_logits[:, :8] if padded_logits.dim() == 3 else padded_logits
        assert torch.allclose(logits, compared, atol=1e-5)


def test_mpnet_counts_positions_as_transformers_does() -> None:
    model, ids = small_model("mpnet"), torch.randint(2, 50, (2, 8))
    mask = torch.ones_like(ids)
    expected = model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    states = model.encoder(**model._encoder_inputs(ids, mask)).last_hidden_state
    assert torch.equal(states, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_chosen_layers_of_the_base_are_kept_in_order(tmp_path: Path, kind: str) -> None:
    folder = write_base(tmp_path, kind, WORDS, layers=4)
    full, part = untrained_model(folder), untrained_model(folder, layers=(0, 3))
    assert part.encoder.config.num_hidden_layers == 2
    names = dict(full.named_parameters())
    for name, parameter in part.encoder.named_parameters():
        full_name = "encoder." + name.replace("encoder.layer.1.", "encoder.layer.3.")
        assert torch.equal(parameter, names[full_name]), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_trimmed_model_reads_a_text_of_the_corpus_as_the_whole_model_does(tmp_path: Path, kind: str) -> None:
    folder = write_base(tmp_path, kind, WORDS)
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    pieces = needed_pieces(tokenizer, ["Acme falls", "banks"], 1)
    trimmed = Tokenizer.from_str(trimmed_tokenizer(folder / "tokenizer.json", pieces))
    full, small = untrained_model(folder).eval(), untrained_model(folder, pieces=pieces).eval()
    assert small.encoder.config.vocab_size == len(pieces) < full.encoder.config.vocab_size
    old, new = (torch.tensor([splitter.encode("Acme banks falls").ids]) for splitter in (tokenizer, trimmed))
    assert old.shape == new.shape
    states = [
        model.encoder(**model._encoder_inputs(ids, torch.ones_like(ids))).last_hidden_state
        for model, ids in ((full, old), (small, new))
    ]
    assert torch.allclose(*states, atol=1e-6)


def test_a_checkpoint_that_is_saved_and_loaded_is_equal(tmp_path: Path) -> None:
    model = small_model()
    saved = Checkpoint(
        recipe=Recipe(steps=9, early_stopping=EarlyStopping(patience=2), layers=(0, 1)),
        step=4,
        seconds=1.5,
        model=model.state_dict(),
        optimiser={},
        rng=torch.get_rng_state(),
        history=["changed"],
        best=0.25,
        best_step=3,
    )
    assert load_checkpoint(tmp_path) is None
    saved.save(tmp_path)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert (loaded.recipe, loaded.step, loaded.history) == (saved.recipe, 4, ["changed"])
    assert (loaded.best, loaded.best_step) == (0.25, 3)
    assert all(torch.equal(value, loaded.model[name]) for name, value in model.state_dict().items())


def test_the_best_weights_are_those_of_the_best_measurement_if_there_was_one(tmp_path: Path) -> None:
    best, last = small_model(seed=1), small_model(seed=2)
    state = Checkpoint(Recipe(), 4, 0.0, best.state_dict(), {}, torch.get_rng_state(), best=0.5, best_step=2)
    state.save_best(tmp_path)
    state.model = last.state_dict()
    weights = best_weights(state, tmp_path)
    assert all(torch.equal(value, weights[name]) for name, value in best.state_dict().items())
    state.best = None
    assert best_weights(state, tmp_path) is state.model


def test_the_checkpoint_of_a_different_model_is_refused() -> None:
    with pytest.raises(CheckpointError, match="belongs to a different model"):
        small_model().restore({"encoder.words.weight": torch.zeros(2, 2)})
    with pytest.raises(CheckpointError, match="belongs to a different model"):
        small_model(layers=2).restore(small_model(layers=3).state_dict())
