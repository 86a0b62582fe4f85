"""The exported graphs compute what the model computes, alone and in batches, whatever the padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from small_models.libraries import CAN_TRAIN, needs_training

from riskwire_models.data.labels import HEADS, TOKEN_HEADS
from riskwire_models.errors import ExportError
from riskwire_models.evaluation.onnx_runner import OnnxRunner, count_batch_differences
from riskwire_models.export.manifest import GRAPH_INPUTS

if CAN_TRAIN:
    import torch
    from small_models.encoder import small_model

    from riskwire_models.export.attention import replace_encoder
    from riskwire_models.export.onnx_graphs import write_fp16, write_fp32, write_fused
    from riskwire_models.export.quantisation import write_int8

pytestmark = needs_training

KINDS = ("bert", "mpnet")
#: Rows of word pieces whose lengths reach from a short to a long sentence, with three padded lengths.
ROWS = [
    [5 + (7 * number + position) % 250 for position in range(length)] for number, length in enumerate(range(3, 48, 4))
]


@pytest.fixture(name="graphs", scope="module")
def _graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Returns the graphs of a small model of each kind, by kind and form: traced, fused, int8 and fp16."""
    paths: dict[tuple[str, str], Path] = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        model = small_model(kind, size=64)
        traced = write_fp32(model, folder / "traced.onnx")
        fused = write_fused(traced, folder / "fused.onnx", model.encoder.config)
        paths |= {(kind, "traced"): traced, (kind, "fused"): fused}
        paths[kind, "int8"] = write_int8(fused, folder / "int8.onnx")
        paths[kind, "fp16"] = write_fp16(fused, folder / "fp16.onnx")
    return paths


def logits_of_model(kind: str, row: list[int]) -> dict[str, np.ndarray]:
    """Returns what the model in torch says of a row alone, without padding."""
    ids = torch.tensor([row])
    with torch.no_grad():
        outputs = small_model(kind, size=64)(ids, torch.ones_like(ids))
    return {head: output[0].numpy() for head, output in zip(HEADS, outputs, strict=True)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["traced", "fused"])
def test_fp32_gives_the_logits_of_the_model_at_any_padded_length(
    graphs: dict[tuple[str, str], Path], kind: str, form: str
) -> None:
    """MPNet counts its positions, and its attention has a bias by distance: both must ignore the padding."""
    for row, logits in zip(ROWS, OnnxRunner(graphs[kind, form], 1).predict(ROWS), strict=True):
        for head, expected in logits_of_model(kind, row).items():
            assert logits[head].shape == expected.shape
            assert np.abs(logits[head] - expected).max() < 1e-5, (head, len(row))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["int8", "fp16"])
def test_the_shipped_precisions_are_close_to_the_model(
    graphs: dict[tuple[str, str], Path], kind: str, form: str
) -> None:
    for row, logits in zip(ROWS, OnnxRunner(graphs[kind, form], 1).predict(ROWS), strict=True):
        for head, expected in logits_of_model(kind, row).items():
            assert np.abs(logits[head] - expected).mean() < (0.1 if form == "int8" else 0.01) * (1 + expected.std())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["fused", "int8", "fp16"])
def test_the_logits_of_a_row_are_bit_equal_in_any_batch(
    graphs: dict[tuple[str, str], Path], kind: str, form: str
) -> None:
    differing, compared = count_batch_differences(OnnxRunner(graphs[kind, form], 1), ROWS)
    assert compared > len(ROWS)
    assert differing == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_has_the_documented_inputs_and_outputs(graphs: dict[tuple[str, str], Path], kind: str) -> None:
    for form in ("traced", "fused", "int8", "fp16"):
        graph = onnx.load(str(graphs[kind, form])).graph
        assert [value.name for value in graph.input] == list(GRAPH_INPUTS)
        sizes = {
            value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
            for value in graph.output
        }
        assert sizes == {
            head: ["batch", *(["tokens"] if head in TOKEN_HEADS else []), len(labels)] for head, labels in HEADS.items()
        }
        assert OnnxRunner(graphs[kind, form], 1).heads == tuple(HEADS)


def test_onnxruntime_fuses_the_attention_of_the_installed_transformers(graphs: dict[tuple[str, str], Path]) -> None:
    kinds = [node.op_type for node in onnx.load(str(graphs["bert", "fused"])).graph.node]
    assert kinds.count("MultiHeadAttention") == 2
    assert "Softmax" not in kinds


def test_the_attention_of_mpnet_is_one_operator_already_when_traced(graphs: dict[tuple[str, str], Path]) -> None:
    for form in ("traced", "fused", "int8"):
        kinds = [node.op_type for node in onnx.load(str(graphs["mpnet", form])).graph.node]
        assert kinds.count("MultiHeadAttention") == 2
        assert "Softmax" not in kinds


def test_an_attention_that_is_not_fused_is_refused(tmp_path: Path) -> None:
    model = small_model()
    model.encoder.set_attn_implementation("sdpa")
    traced = write_fp32(model, tmp_path / "traced.onnx")
    with pytest.raises(ExportError, match="fused 0 of 2 attentions"):
        write_fused(traced, tmp_path / "fused.onnx", model.encoder.config)


def test_the_encoder_for_export_computes_what_mpnet_computes() -> None:
    model = small_model("mpnet")
    ids, mask = torch.randint(2, 250, (3, 11)), torch.ones(3, 11, dtype=torch.long)
    mask[1, 7:] = mask[2, 2:] = 0
    exported = replace_encoder(model)
    for expected, logits in zip(model(ids, mask), exported(ids, mask), strict=True):
        for row, length in enumerate([11, 7, 2]):
            pieces = slice(length) if expected.dim() == 3 else slice(None)
            assert torch.allclose(expected[row, pieces], logits[row, pieces], atol=1e-5)


def test_exporting_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = small_model("mpnet")
    encoder, weights = model.encoder, {name: value.clone() for name, value in model.state_dict().items()}
    write_fp32(model, tmp_path / "m.onnx")
    assert model.encoder is encoder
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
