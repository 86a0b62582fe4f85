"""The weights of a bundle are those of the model that it was exported from, so that training can go on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_models.libraries import CAN_TRAIN, needs_training

from riskwire_models.errors import BundleFolderError
from riskwire_models.export.quantisation import EMBEDDING_LIMIT, MIN_MATRIX_SIDE, MIN_TABLE_ROWS, WEIGHT_LIMIT

if CAN_TRAIN:
    import torch
    from small_models.encoder import small_model

    from riskwire_models.export.onnx_graphs import write_fp16, write_fp32, write_fused
    from riskwire_models.export.quantisation import write_int8
    from riskwire_models.export.weights import read_weights, shift_bias

pytestmark = needs_training

KINDS = ("bert", "mpnet")
SIZE = MIN_MATRIX_SIDE


@pytest.fixture(name="parameters", scope="module")
def _parameters() -> dict[str, dict[str, torch.Tensor]]:
    """Returns the parameters of a small model of each kind."""
    return {kind: dict(small_model(kind, size=SIZE).named_parameters()) for kind in KINDS}


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Returns the exported files of these models, by kind and precision."""
    files: dict[str, dict[str, Path]] = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        model = small_model(kind, size=SIZE)
        traced = write_fp32(model, folder / "traced.onnx")
        fused = write_fused(traced, folder / "fused.onnx", model.encoder.config)
        files[kind] = {
            "traced": traced,
            "fused": fused,
            "int8": write_int8(fused, folder / "int8.onnx"),
            "fp16": write_fp16(fused, folder / "fp16.onnx"),
        }
    return files


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["traced", "fused"])
def test_the_weights_of_fp32_are_exactly_the_parameters(
    files: dict[str, dict[str, Path]], parameters: dict[str, dict[str, torch.Tensor]], kind: str, precision: str
) -> None:
    weights = read_weights(files[kind][precision])
    assert parameters[kind].keys() <= weights.keys()
    for name, parameter in parameters[kind].items():
        assert torch.equal(weights[name], parameter), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_of_int8_are_the_parameters_within_half_a_level(
    files: dict[str, dict[str, Path]], parameters: dict[str, dict[str, torch.Tensor]], kind: str
) -> None:
    """A matrix has a scale for each of its outputs, a table one for each row; small ones stay float."""
    weights = read_weights(files[kind]["int8"])
    assert parameters[kind].keys() <= weights.keys()
    quantised = []
    for name, parameter in parameters[kind].items():
        values = parameter.detach()
        assert weights[name].shape == values.shape, name
        error = (weights[name] - values).abs()
        if torch.equal(weights[name], values):
            continue
        quantised.append(name)
        limit = EMBEDDING_LIMIT if "embeddings" in name else WEIGHT_LIMIT
        assert (error <= 0.501 * values.abs().amax(1, keepdim=True) / limit).all(), name
    layers = [name for name in quantised if ".layer." in name]
    assert len(layers) == 2 * 6  # four projections of the attention and two of the feed-forward network
    assert "encoder.embeddings.word_embeddings.weight" in quantised
    assert {"sentiment.0.weight", "target_sentence.weight", "risk_sentence.weight", "risk_token.weight"} <= set(
        quantised
    )
    for name in quantised:
        shape = parameters[kind][name].shape
        assert shape[0] >= MIN_TABLE_ROWS if "embeddings" in name else min(shape) >= MIN_MATRIX_SIDE


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_of_fp16_are_the_rounded_parameters(
    files: dict[str, dict[str, Path]], parameters: dict[str, dict[str, torch.Tensor]], kind: str
) -> None:
    weights = read_weights(files[kind]["fp16"])
    for name, parameter in parameters[kind].items():
        assert torch.allclose(weights[name], parameter, rtol=1e-3, atol=1e-6), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["fused", "int8"])
def test_a_model_with_the_weights_of_a_file_says_what_the_file_says(
    files: dict[str, dict[str, Path]], kind: str, precision: str
) -> None:
    model, ids = small_model(kind, seed=2, size=SIZE), torch.randint(5, 250, (2, 12))
    expected = small_model(kind, size=SIZE)(ids, torch.ones_like(ids))
    before = model(ids, torch.ones_like(ids))
    weights = read_weights(files[kind][precision])
    model.load_state_dict({name: weights[name] for name, _ in model.named_parameters()}, strict=False)
    for logits, known, random in zip(model(ids, torch.ones_like(ids)), expected, before, strict=True):
        error = float((logits - known).abs().mean().detach())
        assert error < (1e-6 if precision == "fused" else 0.2 * float((random - known).abs().mean().detach()))


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(np.arange(9).tobytes())
    with pytest.raises(BundleFolderError, match=r"model\.onnx is not an ONNX file"):
        read_weights(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shifted_bias_is_that_of_every_precision(
    files: dict[str, dict[str, Path]], parameters: dict[str, dict[str, torch.Tensor]], kind: str, tmp_path: Path
) -> None:
    shift = np.array([0.5, -0.25, 0.0, 1.0])
    fused = Path(shutil.copy(files[kind]["fused"], tmp_path / "fused.onnx"))
    shift_bias(fused, "level.bias", shift)
    for path in (fused, write_int8(fused, tmp_path / "int8.onnx"), write_fp16(fused, tmp_path / "fp16.onnx")):
        weights = read_weights(path)
        expected = parameters[kind]["level.bias"].detach().numpy() + shift
        assert weights["level.bias"].numpy() == pytest.approx(expected, abs=2e-3)
        unchanged = parameters[kind]["events.bias"].detach().numpy()
        assert weights["events.bias"].numpy() == pytest.approx(unchanged, rel=2e-3)
    with pytest.raises(BundleFolderError, match=r"fused\.onnx has no bias levels\.bias"):
        shift_bias(fused, "levels.bias", shift)
