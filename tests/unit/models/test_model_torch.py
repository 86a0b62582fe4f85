"""The network itself; needs torch and transformers, which the project's own environment does not have."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from riskwire_models.data.encode import Encoded
from riskwire_models.data.labels import IGNORED
from riskwire_models.training.recipe import Recipe

MISSING = [name for name in ("torch", "transformers", "onnxconverter_common") if find_spec(name) is None]
if not MISSING:
    import onnx
    import torch
    from transformers import BertConfig, BertModel

    from riskwire_models.errors import CheckpointError, ExportError
    from riskwire_models.export.graph import write_fp32, write_fused
    from riskwire_models.training.checkpoint import Checkpoint, load_checkpoint
    from riskwire_models.training.loss import Weights, loss_of, tensors_of
    from riskwire_models.training.model import FourHeads

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f'{", ".join(MISSING)} not installed: pip install "riskwire[train]"'
)


def model() -> FourHeads:
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
    return FourHeads(BertModel(config, add_pooling_layer=False)).eval()


def test_the_outputs_have_the_promised_shapes() -> None:
    ids = torch.randint(0, 50, (2, 16))
    sentiment, entities, toward, topics = model()(ids, torch.ones_like(ids))
    assert [tuple(one.shape) for one in (sentiment, entities, toward, topics)] == [
        (2, 3),
        (2, 16, 9),
        (2, 16, 3),
        (2, 20),
    ]


def test_padding_changes_nothing_but_rounding() -> None:
    network, ids = model(), torch.randint(1, 50, (1, 8))
    padded = torch.cat([ids, torch.zeros(1, 8, dtype=torch.long)], dim=1)
    mask = torch.cat([torch.ones(1, 8), torch.zeros(1, 8)], dim=1).long()
    for plain, longer in zip(network(ids, torch.ones_like(ids)), network(padded, mask), strict=True):
        compared = longer[:, :8] if longer.dim() == 3 else longer
        assert torch.allclose(plain, compared, atol=1e-5)


def test_a_mentions_logits_are_the_mean_over_its_pieces() -> None:
    rows = [Encoded((1, 2, 3)), Encoded((4, 5, 6, 7), targets=(((1, 2), 2),))]
    batch = tensors_of(rows)
    logits = torch.randn(2, 4, 3)
    assert torch.allclose((batch.pool @ logits.reshape(-1, 3))[0], logits[1, 1:3].mean(0))


def test_rows_that_know_nothing_teach_nothing() -> None:
    network = model()
    batch = tensors_of([Encoded((1, 2, 3)), Encoded((1, 2), tags=(IGNORED, IGNORED))])
    total, parts = loss_of(
        network(batch.ids, batch.mask), batch, Weights(1.0, 1.0, 1.0, 1.0, (1.0, 1.0, 1.0, 1.0), 0.0)
    )
    total.backward()
    assert float(total.detach()) == 0.0
    assert parts == [0.0] * 4
    assert all(one.grad is None or not one.grad.any() for one in network.parameters())


def test_a_checkpoint_reads_back(tmp_path: Path) -> None:
    network = model()
    saved = Checkpoint(Recipe(steps=9), 4, 1.5, network.state_dict(), {}, torch.get_rng_state(), ["changed"])
    assert load_checkpoint(tmp_path) is None
    saved.save(tmp_path)
    read = load_checkpoint(tmp_path)
    assert read is not None
    assert (read.recipe, read.step, read.history) == (saved.recipe, 4, ["changed"])
    assert all(torch.equal(value, read.model[name]) for name, value in network.state_dict().items())


def test_the_checkpoint_of_another_network_is_refused() -> None:
    with pytest.raises(CheckpointError, match="of another network"):
        model().restore({"encoder.words.weight": torch.zeros(2, 2)})


@pytest.mark.parametrize("whole_attention", [True, False])
def test_onnxruntime_knows_the_attention_of_this_transformers(tmp_path: Path, whole_attention: bool) -> None:
    network = model()
    traced = write_fp32(network, tmp_path / "traced.onnx")
    fused = write_fused(traced, tmp_path / "fused.onnx", network.encoder.config, whole_attention=whole_attention)
    kinds = [node.op_type for node in onnx.load(str(fused)).graph.node]
    assert kinds.count("Attention" if whole_attention else "MultiHeadAttention") == 2
    assert "Softmax" not in kinds


def test_an_attention_that_is_not_fused_is_refused(tmp_path: Path) -> None:
    network = model()
    network.encoder.set_attn_implementation("sdpa")
    traced = write_fp32(network, tmp_path / "traced.onnx")
    with pytest.raises(ExportError, match="fused 0 of 2 attentions"):
        write_fused(traced, tmp_path / "fused.onnx", network.encoder.config, whole_attention=True)
