"""The model, its loss, checkpoint and graphs. These tests need the train extra, which is not installed by default."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from riskwire_models.data.encoding import EncodedExample
from riskwire_models.data.labels import IGNORED
from riskwire_models.training.recipe import Recipe

MISSING = [name for name in ("torch", "transformers", "onnxconverter_common") if find_spec(name) is None]
if not MISSING:
    import onnx
    import torch
    from transformers import BertConfig, BertModel

    from riskwire_models.errors import CheckpointError, ExportError
    from riskwire_models.export.onnx_graphs import write_fp32, write_fused
    from riskwire_models.training.checkpoint import Checkpoint, load_checkpoint
    from riskwire_models.training.loss import LossWeights, batch_tensors, weighted_loss
    from riskwire_models.training.model import FourHeadModel

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f'{", ".join(MISSING)} not installed: pip install "riskwire[train]"'
)


def small_model() -> FourHeadModel:
    """Returns a model of two small layers with random weights."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=1000,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=48,
        max_position_embeddings=32,
        attn_implementation="eager",
    )
    return FourHeadModel(BertModel(config, add_pooling_layer=False)).eval()


def test_the_outputs_have_the_documented_shapes() -> None:
    ids = torch.randint(0, 50, (2, 16))
    outputs = small_model()(ids, torch.ones_like(ids))
    assert [tuple(output.shape) for output in outputs] == [
        (2, 3),
        (2, 16, 9),
        (2, 16, 3),
        (2, 20),
    ]


def test_padding_changes_the_logits_by_rounding_only() -> None:
    model, ids = small_model(), torch.randint(1, 50, (1, 8))
    padded = torch.cat([ids, torch.zeros(1, 8, dtype=torch.long)], dim=1)
    mask = torch.cat([torch.ones(1, 8), torch.zeros(1, 8)], dim=1).long()
    for logits, padded_logits in zip(model(ids, torch.ones_like(ids)), model(padded, mask), strict=True):
        compared = padded_logits[:, :8] if padded_logits.dim() == 3 else padded_logits
        assert torch.allclose(logits, compared, atol=1e-5)


def test_the_logits_of_a_mention_are_the_mean_over_its_pieces() -> None:
    rows = [EncodedExample((1, 2, 3)), EncodedExample((4, 5, 6, 7), targets=(((1, 2), 2),))]
    batch = batch_tensors(rows)
    logits = torch.randn(2, 4, 3)
    assert torch.allclose((batch.pool @ logits.reshape(-1, 3))[0], logits[1, 1:3].mean(0))


def test_rows_without_labels_have_no_loss_and_no_gradient() -> None:
    model = small_model()
    batch = batch_tensors([EncodedExample((1, 2, 3)), EncodedExample((1, 2), tags=(IGNORED, IGNORED))])
    total, parts = weighted_loss(
        model(batch.ids, batch.mask), batch, LossWeights(1.0, 1.0, 1.0, 1.0, (1.0, 1.0, 1.0, 1.0), 0.0)
    )
    total.backward()
    assert float(total.detach()) == 0.0
    assert parts == [0.0] * 4
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.parameters())


def test_a_checkpoint_that_is_saved_and_loaded_is_equal(tmp_path: Path) -> None:
    model = small_model()
    saved = Checkpoint(
        recipe=Recipe(steps=9),
        step=4,
        seconds=1.5,
        model=model.state_dict(),
        optimiser={},
        rng=torch.get_rng_state(),
        history=["changed"],
    )
    assert load_checkpoint(tmp_path) is None
    saved.save(tmp_path)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert (loaded.recipe, loaded.step, loaded.history) == (saved.recipe, 4, ["changed"])
    assert all(torch.equal(value, loaded.model[name]) for name, value in model.state_dict().items())


def test_the_checkpoint_of_a_different_model_is_refused() -> None:
    with pytest.raises(CheckpointError, match="belongs to a different model"):
        small_model().restore({"encoder.words.weight": torch.zeros(2, 2)})


@pytest.mark.parametrize("whole_attention", [True, False])
def test_onnxruntime_fuses_the_attention_of_the_installed_transformers(tmp_path: Path, whole_attention: bool) -> None:
    model = small_model()
    traced = write_fp32(model, tmp_path / "traced.onnx")
    fused = write_fused(traced, tmp_path / "fused.onnx", model.encoder.config, whole_attention=whole_attention)
    kinds = [node.op_type for node in onnx.load(str(fused)).graph.node]
    assert kinds.count("Attention" if whole_attention else "MultiHeadAttention") == 2
    assert "Softmax" not in kinds


def test_an_attention_that_is_not_fused_is_refused(tmp_path: Path) -> None:
    model = small_model()
    model.encoder.set_attn_implementation("sdpa")
    traced = write_fp32(model, tmp_path / "traced.onnx")
    with pytest.raises(ExportError, match="fused 0 of 2 attentions"):
        write_fused(traced, tmp_path / "fused.onnx", model.encoder.config, whole_attention=True)
