"""Quantises a graph to int8 so that the results of a row do not depend on the other rows of its batch.

onnxruntime's own dynamic quantisation uses one activation scale for the whole batch, so the results of a sentence
depend on the other sentences. Here each row (a word piece, or a sentence in the sentence heads) has its own scale:

    s = max|x| / 95         q = round(x / s) + 96         y = s · ((q - 96) · W) · w

W is the int8 weight, w its scale per output column. The product is `MatMulIntegerToFloat`, which is exact in int32, so
it does not depend on other rows, on the number of rows, or on threads.

Weights are limited to ±85, and unsigned activations to 191. The sum of two products then fits 16 bits
(191 · 85 · 2 < 32,768). So processors with AVX2 but without VNNI, whose `vpmaddubsw` saturates at 16 bits, compute the
same numbers as others. Within that bound the rounding is shared out evenly: full 8-bit activations leave weights ±63,
and then the event types of `finance-en` lost 1.8 points.
Embedding tables are int8 with a scale per row, and are dequantised after the look-up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

#: Largest magnitudes of an int8 weight and of a quantised activation (see the module docstring).
WEIGHT_LIMIT = 85
ACTIVATION_LIMIT = 95
EMBEDDING_LIMIT = 127
#: Matrices with a smaller side stay float. They are small, and the last layers of heads are the most sensitive.
MIN_MATRIX_SIDE = 64
#: Look-up tables with fewer rows stay float.
MIN_TABLE_ROWS = 256
_MICROSOFT_DOMAIN = "com.microsoft"
#: End of the name of a matrix that a graph holds transposed.
TRANSPOSED = ".T"
#: Ends of the names of a quantised matrix or table and of its scales.
QUANTISED, SCALES = "/q", "/s"

Floats = NDArray[np.float32]


def quantise_columns(weight: Floats, limit: int = WEIGHT_LIMIT) -> tuple[NDArray[np.int8], Floats]:
    """Quantises a matrix [in, out] to int8, and returns the scale of each column [out]; 1 for a column of zeros."""
    peak = np.abs(weight).max(axis=0)
    scale = np.where(peak > 0, peak / limit, 1.0).astype(np.float32)
    return np.clip(np.round(weight / scale), -limit, limit).astype(np.int8), scale


def quantise_rows(table: Floats, limit: int = EMBEDDING_LIMIT) -> tuple[NDArray[np.int8], Floats]:
    """Quantises a table [rows, size] to int8, and returns the scale of each row [rows, 1]."""
    quantised, scale = quantise_columns(np.ascontiguousarray(table.T), limit)
    return np.ascontiguousarray(quantised.T), scale[:, None]


class _GraphRewriter:
    """Rewrites a graph in place. Nodes are copied in order, so that a node stays behind the nodes it reads from."""

    def __init__(self, model: Any) -> None:
        """Collects the float weights of an ONNX model, and adds the constants for quantising rows."""
        self.graph = model.graph
        self.floats: dict[str, Floats] = {
            tensor.name: numpy_helper.to_array(tensor)
            for tensor in model.graph.initializer
            if tensor.data_type == TensorProto.FLOAT
        }
        self.nodes: list[Any] = []
        self.rows: dict[str, tuple[str, str]] = {}
        for name, value in (
            ("row/one", np.array(1.0, np.float32)),
            ("row/inverse", np.array(1.0 / ACTIVATION_LIMIT, np.float32)),
            ("row/least", np.array(1e-9, np.float32)),
            ("row/zero", np.array(ACTIVATION_LIMIT + 1, np.uint8)),
        ):
            self._constant(name, value)

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def _quantised_rows(self, value: str) -> tuple[str, str]:
        """Returns the names of the quantised rows of a tensor and of their scales; adds the nodes only once."""
        if value not in self.rows:
            peak = self._node(
                "ReduceMax", [self._node("Abs", [value], f"{value}/abs")], f"{value}/peak", axes=[-1], keepdims=1
            )
            scale = self._node("Mul", [peak, "row/inverse"], f"{value}/scale0")
            scale = self._node("Max", [scale, "row/least"], f"{value}/scale")
            level = self._node("Div", [value, scale], f"{value}/level")
            self.rows[value] = (self._node("QuantizeLinear", [level, "row/one", "row/zero"], f"{value}/q"), scale)
        return self.rows[value]

    def _add_product(self, value: str, weight: str, matrix: Floats, output: str) -> None:
        """Adds nodes that multiply `value` by a weight matrix in int8, and write the scaled product to `output`.

        Args:
            value: the name of the input, whose rows are quantised when the graph runs.
            weight: the name of the weight, for the names of its quantised constants.
            matrix: the weight, quantised now, column by column.
            output: the name of the output.
        """
        quantised, columns = quantise_columns(matrix)
        names = [self._constant(weight + QUANTISED, quantised), self._constant(weight + SCALES, columns)]
        rows, scale = self._quantised_rows(value)
        product = self._node(
            "MatMulIntegerToFloat",
            [rows, names[0], "row/one", names[1], "row/zero"],
            f"{output}/unscaled",
            _MICROSOFT_DOMAIN,
        )
        self._node("Mul", [product, scale], output)

    def _replace_matmul(self, node: Any) -> bool:
        """Replaces a MatMul with a large constant matrix; returns whether it did."""
        matrix = self.floats.get(node.input[1]) if node.op_type == "MatMul" else None
        if matrix is None or matrix.ndim != 2 or min(matrix.shape) < MIN_MATRIX_SIDE:
            return False
        self._add_product(node.input[0], node.input[1], matrix, node.output[0])
        return True

    def _replace_gemm(self, node: Any) -> bool:
        """Replaces a Gemm with a large constant matrix; returns whether it did."""
        matrix = self.floats.get(node.input[1]) if node.op_type == "Gemm" else None
        if matrix is None or min(matrix.shape) < MIN_MATRIX_SIDE:
            return False
        options = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if options.get("transA", 0) or options.get("alpha", 1.0) != 1.0 or options.get("beta", 1.0) != 1.0:
            return False
        is_transposed = bool(options.get("transB", 0))
        name = node.input[1] + TRANSPOSED if is_transposed else node.input[1]
        self._add_product(node.input[0], name, matrix.T if is_transposed else matrix, f"{node.output[0]}/product")
        self._node("Add", [f"{node.output[0]}/product", node.input[2]], node.output[0])
        return True

    def _replace_gather(self, node: Any) -> bool:
        """Replaces a look-up in a large constant table; returns whether it did."""
        table = self.floats.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or table.ndim != 2 or table.shape[0] < MIN_TABLE_ROWS:
            return False
        quantised, scales = quantise_rows(table)
        name, index = node.input[0], node.input[1]
        picked = self._node("Gather", [self._constant(name + QUANTISED, quantised), index], f"{name}/rows", axis=0)
        scale = self._node("Gather", [self._constant(name + SCALES, scales), index], f"{name}/scales", axis=0)
        levels = self._node("Cast", [picked], f"{name}/levels", to=TensorProto.FLOAT)
        self._node("Mul", [levels, scale], node.output[0])
        return True

    def run(self) -> None:
        """Replaces all nodes that can be quantised, and removes the float weights that are no longer used."""
        for node in self.graph.node:
            if not (self._replace_matmul(node) or self._replace_gemm(node) or self._replace_gather(node)):
                self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        used_tensors = [tensor for tensor in self.graph.initializer if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(used_tensors)


def write_int8(source: Path, path: Path) -> Path:
    """Writes a float graph, whose attention projections are MatMuls, as int8, and returns its path."""
    model = onnx.load(str(source))
    _GraphRewriter(model).run()
    if not any(entry.domain == _MICROSOFT_DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_MICROSOFT_DOMAIN, 1))
    onnx.save(model, str(path))
    return path
