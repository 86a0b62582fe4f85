"""The fp16 file of a bundle is derived from int8, with the same bits everywhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_models.libraries import CAN_TRAIN, needs_training

from riskwire_models.errors import BundleFolderError
from riskwire_models.evaluation.onnx_runner import OnnxRunner
from riskwire_models.export.default_bundle import SKELETON
from riskwire_models.export.manifest import FileEntry, file_entry, read_manifest, sha256_of, write_manifest

if CAN_TRAIN:
    from small_models.bundle import write_small_bundle
    from small_models.encoder import small_model

    from riskwire_models.export.derive import derive_fp16, fill_skeleton, write_skeleton
    from riskwire_models.export.onnx_graphs import write_fp16, write_fp32, write_fused
    from riskwire_models.export.weights import read_weights

pytestmark = needs_training

ROWS = [[5, 6, 7, 8], [9] * 20]


@pytest.fixture(name="exported", scope="module", params=["bert", "mpnet"])
def _exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a bundle of a small model, with a skeleton in place of its fp16 file."""
    work = tmp_path_factory.mktemp(request.param)
    folder = write_small_bundle(work / "bundle", request.param, [f"word{number}" for number in range(256)])
    manifest = read_manifest(folder)
    assert manifest.encoder is not None
    model = small_model(request.param, vocabulary=manifest.encoder["vocab_size"], size=64)
    traced = write_fp32(model, work / "traced.onnx")
    fused = write_fused(traced, work / "fused.onnx", model.encoder.config)
    write_skeleton(write_fp16(fused, work / "fp16.onnx"), folder / "model.int8.onnx", folder / SKELETON)
    filled = fill_skeleton(folder / SKELETON, folder / "model.int8.onnx", work / "filled.onnx")
    skeleton = file_entry(folder, SKELETON)
    entry = FileEntry(path="model.fp16.onnx", sha256=sha256_of(filled), device="cuda", skeleton=skeleton)
    write_manifest(folder, manifest.model_copy(update={"files": {**manifest.files, "fp16": entry}}))
    return folder


@pytest.fixture(name="folder")
def _folder(exported: Path, tmp_path: Path) -> Path:
    """Returns a copy of the bundle that a test may change."""
    return shutil.copytree(exported, tmp_path / "bundle")


def test_the_derived_file_has_the_checksum_of_the_manifest_and_the_weights_of_int8(folder: Path) -> None:
    path = derive_fp16(folder)
    assert sha256_of(path) == read_manifest(folder).files["fp16"].sha256
    int8, fp16 = read_weights(folder / "model.int8.onnx"), read_weights(path)
    parameters = [name for name in int8 if name.endswith((".weight", ".bias"))]
    assert len(parameters) > 40
    for name in parameters:
        assert np.array_equal(fp16[name].numpy(), int8[name].half().float().numpy()), name


def test_the_derived_file_says_what_int8_says_up_to_the_rounding_of_activations(folder: Path) -> None:
    derived = OnnxRunner(derive_fp16(folder), 1).predict(ROWS)
    for int8, fp16 in zip(OnnxRunner(folder / "model.int8.onnx", 1).predict(ROWS), derived, strict=True):
        for head, logits in int8.by_head.items():
            assert np.abs(logits - fp16[head]).mean() < 0.02 * (1 + np.abs(logits).std())


def test_the_skeleton_is_small(folder: Path) -> None:
    """It lacks the matrices and tables that int8 holds too; in a small model other weights are large beside these."""
    assert (folder / SKELETON).stat().st_size < 0.6 * derive_fp16(folder).stat().st_size


def test_a_bundle_without_its_derived_file_is_whole(folder: Path) -> None:
    assert not (folder / "model.fp16.onnx").exists()
    read_manifest(folder)
    (folder / SKELETON).unlink()
    with pytest.raises(BundleFolderError, match=SKELETON):
        read_manifest(folder)


def test_a_derived_file_with_another_checksum_is_refused_and_removed(folder: Path) -> None:
    manifest = read_manifest(folder)
    wrong = manifest.files["fp16"].model_copy(update={"sha256": "0" * 64})
    write_manifest(folder, manifest.model_copy(update={"files": {**manifest.files, "fp16": wrong}}))
    with pytest.raises(BundleFolderError, match=r"the derived fp16 file has SHA-256 .*, bundle\.json lists 0000"):
        derive_fp16(folder)
    assert not (folder / "model.fp16.onnx").exists()


def test_a_bundle_without_a_skeleton_is_refused(folder: Path) -> None:
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.model_copy(update={"files": {"int8": manifest.files["int8"]}}))
    with pytest.raises(BundleFolderError, match="has no fp16 file that can be derived"):
        derive_fp16(folder)
