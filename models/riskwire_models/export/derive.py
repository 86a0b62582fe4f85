"""Derives the fp16 file of a bundle from its int8 file, so that only one of the two has to be shipped.

The bundle holds a *skeleton*: the fp16 graph without the large matrices that int8 holds too. Filling it with the
dequantised matrices gives the same bits on every machine, since each value is one product, rounded once to fp16.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from riskwire_models.errors import BundleFolderError
from riskwire_models.export.manifest import BundleManifest, read_manifest, sha256_of
from riskwire_models.export.quantisation import TRANSPOSED
from riskwire_models.export.weights import dequantised_weights

#: Marks a weight of a skeleton that the int8 file holds.
_LEFT_OUT = "riskwire.from_int8"


def write_skeleton(fp16: Path, int8: Path, path: Path) -> Path:
    """Writes the fp16 graph without the matrices that the int8 graph holds under the same names; returns the path."""
    held = dequantised_weights(int8)
    model = onnx.load(str(fp16))
    for tensor in model.graph.initializer:
        values = _held(held, tensor.name)
        if values is not None:
            if tuple(tensor.dims) != values.shape:
                raise BundleFolderError(f"{tensor.name} is {tuple(tensor.dims)} in fp16, but {values.shape} in int8")
            tensor.ClearField("raw_data")
            tensor.doc_string = _LEFT_OUT
    onnx.save(model, str(path))
    return path


def fill_skeleton(skeleton: Path, int8: Path, path: Path) -> Path:
    """Writes the graph of a skeleton with the matrices of the int8 file, and returns its path.

    Raises:
        BundleFolderError: the int8 file lacks a matrix of the skeleton.
    """
    held = dequantised_weights(int8)
    model = onnx.load(str(skeleton))
    for tensor in model.graph.initializer:
        if tensor.doc_string != _LEFT_OUT:
            continue
        if (values := _held(held, tensor.name)) is None:
            raise BundleFolderError(f"{int8} has no matrix {tensor.name}, which {skeleton} needs")
        filled = numpy_helper.from_array(_as_fp16(values), tensor.name)
        tensor.ClearField("doc_string")
        tensor.raw_data = filled.raw_data
        tensor.data_type = TensorProto.FLOAT16
    partial = path.with_suffix(".partial")
    onnx.save(model, str(partial))
    os.replace(partial, path)
    return path


def derive_fp16(folder: Path) -> Path:
    """Writes the fp16 file of a bundle beside its int8 file, and returns its path.

    Raises:
        BundleFolderError: the bundle has nothing to derive it from, or the result has another checksum than
            bundle.json lists.
    """
    manifest = read_manifest(folder)
    entry = manifest.files.get("fp16")
    if entry is None or entry.skeleton is None:
        raise BundleFolderError(f"{folder} has no fp16 file that can be derived from int8")
    path = folder / entry.path
    fill_skeleton(folder / entry.skeleton.path, _int8_of(manifest, folder), path)
    if (digest := sha256_of(path)) != entry.sha256:
        path.unlink()
        raise BundleFolderError(f"the derived fp16 file has SHA-256 {digest}, bundle.json lists {entry.sha256}")
    return path


def _held(weights: Mapping[str, NDArray[np.float32]], name: str) -> NDArray[np.float32] | None:
    """Returns a matrix of the int8 graph, which may hold it transposed; None if it does not hold it."""
    if name in weights:
        return weights[name]
    transposed = weights.get(name + TRANSPOSED)
    return None if transposed is None else np.ascontiguousarray(transposed.T)


def _int8_of(manifest: BundleManifest, folder: Path) -> Path:
    entry = manifest.files.get("int8")
    if entry is None:
        raise BundleFolderError(f"{folder} has no int8 file")
    return folder / entry.path


def _as_fp16(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """Returns the values rounded to fp16, clipped to its largest finite value."""
    largest = float(np.finfo(np.float16).max)
    return np.clip(values, -largest, largest).astype(np.float16)
