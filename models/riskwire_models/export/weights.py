"""The weights of a bundle as those of the model that it was exported from, so that training can go on from a bundle.

torch's exporter renames transposed matrices. `name_weights` gives them the names of their parameters,
which the optimised and quantised graphs keep. `name_joined_biases` does so for the biases that the optimiser joins.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

if TYPE_CHECKING:  # `derive` reads weights where torch is not installed: in an image for GPUs
    from torch import Tensor, nn

from riskwire_models.errors import BundleFolderError
from riskwire_models.export.quantisation import QUANTISED, SCALES, TRANSPOSED

#: Stands between the names of parameters whose values follow each other in one vector.
_JOINED = "+"


def name_weights(path: Path, model: nn.Module) -> None:
    """Renames the weights of an exported graph, in place, to the names of the model's parameters."""
    by_content: dict[tuple[tuple[int, ...], bytes], str] = {}
    for name, parameter in model.named_parameters():
        values = parameter.detach().numpy()
        if values.ndim == 2:
            transposed = np.ascontiguousarray(values.T)
            by_content.setdefault((transposed.shape, transposed.tobytes()), name + TRANSPOSED)
        by_content.setdefault((values.shape, np.ascontiguousarray(values).tobytes()), name)
    graph = onnx.load(str(path))
    new_names: dict[str, str] = {}
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        name = by_content.get((values.shape, np.ascontiguousarray(values).tobytes()))
        if name is not None and values.ndim and name not in new_names.values():
            new_names[tensor.name] = name
            tensor.name = name
    for node in graph.graph.node:
        for position, name in enumerate(node.input):
            if name in new_names:
                node.input[position] = new_names[name]
    onnx.save(graph, str(path))


def shift_bias(path: Path, name: str, shift: NDArray[np.float64]) -> None:
    """Adds something to the bias of a head in a float32 graph, in place.

    Raises:
        BundleFolderError: the graph has no such bias.
    """
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        if tensor.name == name:
            shifted = numpy_helper.to_array(tensor) + shift.astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(shifted.astype(np.float32), name))
            onnx.save(model, str(path))
            return
    raise BundleFolderError(f"{path} has no bias {name}")


def name_joined_biases(path: Path) -> None:
    """Renames the biases of fused attentions, in place: each holds those of query, key and value behind each other."""
    model = onnx.load(str(path))
    matrices = {node.output[0]: node.input[1] for node in model.graph.node if node.op_type == "MatMul"}
    end = ".weight" + TRANSPOSED
    new_names: dict[str, str] = {}
    for node in model.graph.node:
        projections = [matrices.get(name, "") for name in node.input[:3]]
        if node.op_type == "MultiHeadAttention" and node.input[3] and all(name.endswith(end) for name in projections):
            name = _JOINED.join(projection.removesuffix(end) + ".bias" for projection in projections)
            new_names[node.input[3]] = node.input[3] = name
    for tensor in model.graph.initializer:
        tensor.name = new_names.get(tensor.name, tensor.name)
    onnx.save(model, str(path))


def dequantised_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """Returns the quantised matrices and tables of an int8 ONNX file as float32, by the name of the float original."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(str(path)).graph.initializer}
    return {
        name.removesuffix(QUANTISED): _dequantised(values, tensors[name.removesuffix(QUANTISED) + SCALES])
        for name, values in tensors.items()
        if name.endswith(QUANTISED)
    }


def read_weights(path: Path) -> dict[str, Tensor]:
    """Returns the float32 weights of an ONNX file of a bundle by the name of their parameter. int8 is dequantised.

    Raises:
        BundleFolderError: the file cannot be read.
    """
    try:
        floats = {
            tensor.name: numpy_helper.to_array(tensor).astype(np.float32)
            for tensor in onnx.load(str(path)).graph.initializer
            if tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16)
        } | dequantised_weights(path)
    except Exception as error:
        raise BundleFolderError(f"{path} is not an ONNX file: {error}") from error
    weights: dict[str, Tensor] = {}
    for name, values in floats.items():
        if _JOINED in name:
            names = name.split(_JOINED)
            weights |= dict(zip(names, map(_tensor, np.split(values, len(names))), strict=True))
        else:
            weights[name.removesuffix(TRANSPOSED)] = _tensor(values.T if name.endswith(TRANSPOSED) else values)
    return weights


def _tensor(values: NDArray[np.float32]) -> Tensor:
    """Returns a tensor with a copy of the values, row by row."""
    import torch  # noqa: PLC0415

    return torch.from_numpy(np.array(values, copy=True, order="C"))


def _dequantised(values: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns int8 values times their scales: one a column of a matrix, or one a row [rows, 1] of a table."""
    return values.astype(np.float32) * scales
