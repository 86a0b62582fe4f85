"""int8 in which a row's numbers depend on that row alone.

onnxruntime's own dynamic quantisation takes one activation scale for the whole batch, so a sentence reads differently
beside other sentences. Here every row (one word piece, or one sentence in the sentence heads) gets a scale of its own:

    s = max|x| / 127        q = round(x / s) + 128        y = s · ((q - 128) · W) · w

with W the int8 weight and w its scale per output column. The product is `MatMulIntegerToFloat`, exact in int32, so
neither neighbours, nor the number of rows, nor threads can change it. Weights keep to ±63: with unsigned
activations a pair of products then fits 16 bits (255 · 63 · 2 < 32,768), and processors with AVX2 but no VNNI, whose
`vpmaddubsw` saturates there, give the same numbers as all others. Tables of embeddings are int8 with a scale per
row, and dequantised after the look-up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

#: Largest magnitude of an int8 weight: 7 bits, see above.
WEIGHT_LIMIT = 63
EMBEDDING_LIMIT = 127
#: Weights with a smaller side than this stay float: they are tiny, and heads' last layers are the most sensitive.
LEAST_SIDE = 64
#: Look-up tables with fewer rows stay float.
LEAST_TABLE = 256
_MICROSOFT = "com.microsoft"

Floats = NDArray[np.float32]


def quantise_columns(weight: Floats, limit: int = WEIGHT_LIMIT) -> tuple[NDArray[np.int8], Floats]:
    """[in, out] → int8 [in, out] and the scale of each column [out]; a column of zeros has scale 1."""
    peak = np.abs(weight).max(axis=0)
    scale = np.where(peak > 0, peak / limit, 1.0).astype(np.float32)
    return np.clip(np.round(weight / scale), -limit, limit).astype(np.int8), scale


def quantise_rows(table: Floats, limit: int = EMBEDDING_LIMIT) -> tuple[NDArray[np.int8], Floats]:
    """[rows, size] → int8 [rows, size] and the scale of each row [rows, 1]."""
    quantised, scale = quantise_columns(np.ascontiguousarray(table.T), limit)
    return np.ascontiguousarray(quantised.T), scale[:, None]


class _Rewrite:
    """Rewrites one graph; nodes are copied in order, so producers stay before consumers."""

    def __init__(self, model: Any) -> None:
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
            ("row/inverse", np.array(1.0 / 127.0, np.float32)),
            ("row/least", np.array(1e-9, np.float32)),
            ("row/zero", np.array(128, np.uint8)),
        ):
            self._constant(name, value)

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def _quantised_rows(self, value: str) -> tuple[str, str]:
        """Names of the uint8 rows and of their scales, made once for each tensor."""
        if value not in self.rows:
            peak = self._node(
                "ReduceMax", [self._node("Abs", [value], f"{value}/abs")], f"{value}/peak", axes=[-1], keepdims=1
            )
            scale = self._node("Mul", [peak, "row/inverse"], f"{value}/scale0")
            scale = self._node("Max", [scale, "row/least"], f"{value}/scale")
            level = self._node("Div", [value, scale], f"{value}/level")
            self.rows[value] = (self._node("QuantizeLinear", [level, "row/one", "row/zero"], f"{value}/q"), scale)
        return self.rows[value]

    def _product(self, value: str, weight: str, matrix: Floats, output: str) -> None:
        quantised, columns = quantise_columns(matrix)
        names = [self._constant(f"{weight}/q", quantised), self._constant(f"{weight}/s", columns)]
        rows, scale = self._quantised_rows(value)
        whole = self._node(
            "MatMulIntegerToFloat", [rows, names[0], "row/one", names[1], "row/zero"], f"{output}/unscaled", _MICROSOFT
        )
        self._node("Mul", [whole, scale], output)

    def _matmul(self, node: Any) -> bool:
        matrix = self.floats.get(node.input[1]) if node.op_type == "MatMul" else None
        if matrix is None or matrix.ndim != 2 or min(matrix.shape) < LEAST_SIDE:
            return False
        self._product(node.input[0], node.input[1], matrix, node.output[0])
        return True

    def _gemm(self, node: Any) -> bool:
        matrix = self.floats.get(node.input[1]) if node.op_type == "Gemm" else None
        if matrix is None or min(matrix.shape) < LEAST_SIDE:
            return False
        options = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if options.get("transA", 0) or options.get("alpha", 1.0) != 1.0 or options.get("beta", 1.0) != 1.0:
            return False
        matrix = matrix.T if options.get("transB", 0) else matrix
        self._product(node.input[0], node.input[1], matrix, f"{node.output[0]}/product")
        self._node("Add", [f"{node.output[0]}/product", node.input[2]], node.output[0])
        return True

    def _gather(self, node: Any) -> bool:
        table = self.floats.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or table.ndim != 2 or table.shape[0] < LEAST_TABLE:
            return False
        quantised, scales = quantise_rows(table)
        name, index = node.input[0], node.input[1]
        picked = self._node("Gather", [self._constant(f"{name}/q", quantised), index], f"{name}/rows", axis=0)
        scale = self._node("Gather", [self._constant(f"{name}/s", scales), index], f"{name}/scales", axis=0)
        levels = self._node("Cast", [picked], f"{name}/levels", to=TensorProto.FLOAT)
        self._node("Mul", [levels, scale], node.output[0])
        return True

    def run(self) -> None:
        for node in self.graph.node:
            if not (self._matmul(node) or self._gemm(node) or self._gather(node)):
                self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)


def write_int8(source: Path, path: Path) -> Path:
    """A float graph whose attention is left as MatMuls, as int8 by rows."""
    model = onnx.load(str(source))
    _Rewrite(model).run()
    if not any(entry.domain == _MICROSOFT for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
    onnx.save(model, str(path))
    return path
