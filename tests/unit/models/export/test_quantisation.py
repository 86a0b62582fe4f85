"""int8 quantisation by rows: small error, no dependence on the batch, no saturation on processors without VNNI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from riskwire_models.export.quantisation import (
    ACTIVATION_LIMIT,
    WEIGHT_LIMIT,
    quantise_columns,
    quantise_rows,
    write_int8,
)

SIZE = 96


def write_graph(path: Path) -> Path:
    """Writes a graph: ids → table look-up → MatMul (+ bias) → Gemm with transposed weight → small MatMul."""
    generator = np.random.default_rng(1)
    weights = {
        "table": generator.normal(0, 1, (300, SIZE)),
        "wide": generator.normal(0, 0.1, (SIZE, SIZE)),
        "bias": generator.normal(0, 0.1, (SIZE,)),
        "gemm": generator.normal(0, 0.1, (SIZE, SIZE)),
        "small": generator.normal(0, 0.1, (SIZE, 3)),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["states"]),
        helper.make_node("MatMul", ["states", "wide"], ["wide_out"]),
        helper.make_node("Add", ["wide_out", "bias"], ["tokens"]),
        helper.make_node("ReduceMean", ["tokens"], ["sentence"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["sentence", "gemm", "bias"], ["mixed"], transB=1),
        helper.make_node("MatMul", ["mixed", "small"], ["logits"]),
    ]
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])],
            [
                helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3]),
                helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", "tokens", SIZE]),
            ],
            tensors,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, str(path))
    return path


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Returns the paths of a graph in fp32 and of its int8 version."""
    folder = tmp_path_factory.mktemp("quantise")
    source = write_graph(folder / "fp32.onnx")
    return source, write_int8(source, folder / "int8.onnx")


def run(path: Path, ids: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": ids})


def test_only_the_small_matrix_remains_float(files: tuple[Path, Path]) -> None:
    model = onnx.load(str(files[1]))
    float_matrices = [
        tensor.name
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2
    ]
    assert sorted(float_matrices) == ["small", "table/s"]
    assert files[1].stat().st_size < 0.4 * files[0].stat().st_size


def test_the_outputs_are_close_to_fp32(files: tuple[Path, Path]) -> None:
    ids = np.random.default_rng(2).integers(0, 300, (8, 16))
    for expected, quantised in zip(run(files[0], ids), run(files[1], ids), strict=True):
        assert np.abs(expected - quantised).mean() < 0.03 * np.abs(expected).std()


def test_the_outputs_of_a_row_are_bit_equal_in_any_batch(files: tuple[Path, Path]) -> None:
    generator = np.random.default_rng(3)
    row = generator.integers(0, 300, (1, 16))
    alone = run(files[1], np.concatenate([row, row]))
    for size in (1, 4, 17, 40):
        neighbours = generator.integers(0, 300, (size, 16))
        in_batch = run(files[1], np.concatenate([neighbours, row]))
        for output_alone, output_in_batch in zip(alone, in_batch, strict=True):
            assert output_alone[0].tobytes() == output_in_batch[-1].tobytes()


def test_the_sum_of_two_products_fits_sixteen_bits() -> None:
    assert 2 * (2 * ACTIVATION_LIMIT + 1) * WEIGHT_LIMIT <= 32_767


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_the_rounding_error_of_a_weight_is_at_most_half_a_level(rows: int, columns: int, seed: int) -> None:
    weight = np.random.default_rng(seed).normal(0, 1, (rows, columns)).astype(np.float32)
    levels, scale = quantise_columns(weight)
    assert np.abs(levels).max() <= WEIGHT_LIMIT
    assert (np.abs(levels * scale - weight) <= scale * 0.5001).all()


def test_a_column_of_zeros_stays_zero_with_scale_one() -> None:
    levels, scale = quantise_columns(np.zeros((4, 2), np.float32))
    assert not levels.any()
    assert (scale == 1).all()
    assert quantise_rows(np.ones((3, 5), np.float32))[1].shape == (3, 1)
