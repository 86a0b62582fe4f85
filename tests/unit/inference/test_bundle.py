"""The error for an unusable bundle names the file, what was expected and what it has."""

from __future__ import annotations

import json
import re
import shutil
from hashlib import sha256
from pathlib import Path

import onnxruntime
import pytest

from riskwire.errors import BundleError, DeviceError
from riskwire.inference.model.bundle import Bundle, shipped_folder
from riskwire.inference.model.session import ModelSession, installed_runtime


@pytest.fixture
def bundle_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def with_fields(folder: Path, **fields: object) -> Path:
    """Replaces fields of a bundle's manifest (bundle.json) in the file, and returns the folder of the bundle."""
    file = folder / "bundle.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))
    return folder


def test_a_valid_bundle_loads_with_its_label_and_languages(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    assert (bundle.label, bundle.languages) == ("tiny@1.0.0", ("en",))
    assert bundle.model_path("int8").name == "model.int8.onnx"


def test_a_bundle_that_ships_is_loaded_by_its_name() -> None:
    assert Bundle.load(Path("finance-en")).folder == shipped_folder()
    assert Bundle.load(Path("finance-en")).label == Bundle.load(None).label
    small = Bundle.load(Path("finance-en-small"))
    assert small.label.startswith("finance-en-small@")
    assert set(small.manifest.model_dump()["heads"]) == set(Bundle.load(None).manifest.model_dump()["heads"])


def test_what_ships_is_small_enough_for_a_repository() -> None:
    """130 MB in all, and 95 MB a file. The fp16 files are derived where they are needed."""
    shipped = [file for file in shipped_folder().parent.rglob("*") if file.is_file() and file.name != "model.fp16.onnx"]
    sizes = [file.stat().st_size for file in shipped]
    assert sum(sizes) <= 130_000_000
    assert max(sizes) <= 95_000_000


def test_a_folder_goes_before_a_shipped_bundle_of_the_same_name(
    bundle_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle_copy.rename(tmp_path / "finance-en")
    monkeypatch.chdir(tmp_path)
    assert Bundle.load(Path("finance-en")).folder == Path("finance-en")


def test_the_error_for_a_missing_bundle_says_where_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere: the folder has no bundle.json.*Set inference.bundle"):
        Bundle.load(tmp_path / "nowhere")


@pytest.mark.parametrize("file", ["tokenizer.json", "model.int8.onnx"])
def test_a_changed_file_is_refused_and_the_error_shows_the_expected_hash(bundle_copy: Path, file: str) -> None:
    """A byte is added to the file. The manifest has the SHA-256 hash of the original."""
    expected = json.loads((bundle_copy / "bundle.json").read_text())
    expected = expected["tokenizer"] if file == "tokenizer.json" else expected["files"]["int8"]
    (bundle_copy / file).write_bytes((bundle_copy / file).read_bytes() + b" ")
    with pytest.raises(BundleError) as caught:
        Bundle.load(bundle_copy).model_path("int8")
    assert file in str(caught.value)
    assert expected["sha256"] in str(caught.value)


def test_the_error_for_a_missing_file_names_it(bundle_copy: Path) -> None:
    (bundle_copy / "model.fp16.onnx").unlink()
    with pytest.raises(BundleError, match=r"model\.fp16\.onnx"):
        Bundle.load(bundle_copy).model_path("fp16")


def test_the_error_for_a_file_that_does_not_ship_says_how_to_derive_it(bundle_copy: Path) -> None:
    """Decision 0034: a bundle ships a skeleton instead of its fp16 file."""
    manifest = json.loads((bundle_copy / "bundle.json").read_text())
    manifest["files"]["fp16"]["skeleton"] = {"path": "model.fp16.skeleton.onnx", "sha256": "0" * 64}
    (bundle_copy / "bundle.json").write_text(json.dumps(manifest))
    (bundle_copy / "model.fp16.onnx").unlink()
    with pytest.raises(BundleError, match=rf"riskwire model derive {re.escape(str(bundle_copy))}"):
        Bundle.load(bundle_copy).model_path("fp16")


def test_the_error_for_a_missing_precision_lists_the_available_ones(tiny_bundle: Path) -> None:
    with pytest.raises(BundleError, match="no fp32 file; it has fp16, int8"):
        Bundle.load(tiny_bundle).model_path("fp32")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": 2}, "format"),
        ({"languages": []}, "languages"),
        ({"tokenizer": {"path": "../../etc/passwd", "sha256": "0" * 64}}, "own folder"),
        ({"tokenizer": {"path": "tokenizer.json", "sha256": "short"}}, "sha256"),
        ({"heads": {"sentiment": {"labels": ["bad", "good"]}, "entities": {"labels": ["O", "B-ORG"]}}}, "negative"),
        (
            {
                "heads": {
                    "sentiment": {"labels": ["negative", "neutral", "positive"]},
                    "entities": {"labels": ["O", "I-ORG"]},
                }
            },
            "BIO",
        ),
    ],
)
def test_the_error_for_an_invalid_manifest_names_the_field(
    bundle_copy: Path, fields: dict[str, object], message: str
) -> None:
    """Loads a bundle whose manifest is invalid.

    Args:
        fields: the fields of the manifest that are replaced.
        message: what the error says.
    """
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.load(with_fields(bundle_copy, **fields))
    assert "bundle.json" in str(caught.value)


def test_a_manifest_that_is_not_json_is_refused(bundle_copy: Path) -> None:
    (bundle_copy / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match=r"bundle\.json"):
        Bundle.load(bundle_copy)


def test_a_model_that_is_not_onnx_is_refused(bundle_copy: Path) -> None:
    """The manifest has the right hash of the file, so only loading it as a model fails."""
    (bundle_copy / "model.int8.onnx").write_bytes(b"not a model")
    files = {"int8": {"path": "model.int8.onnx", "sha256": sha256(b"not a model").hexdigest()}}
    with pytest.raises(BundleError, match="cannot be loaded"):
        ModelSession(Bundle.load(with_fields(bundle_copy, files=files)))


def test_cuda_without_a_cuda_runtime_is_an_error_not_a_silent_fallback(tiny_bundle: Path) -> None:
    """Skipped where the installed onnxruntime supports CUDA."""
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("the installed onnxruntime supports CUDA")
    with pytest.raises(DeviceError, match=r"cuda was requested.*riskwire\[gpu\]"):
        ModelSession(Bundle.load(tiny_bundle), device="cuda")


def test_installing_both_runtimes_or_neither_is_an_error_that_says_what_to_do() -> None:
    """The argument of `installed_runtime` says whether a package of this name is installed.

    With exactly one of `onnxruntime` and `onnxruntime-gpu` it returns the name of that one.
    """
    with pytest.raises(DeviceError, match=r"both.*pip uninstall onnxruntime onnxruntime-gpu"):
        installed_runtime(lambda name: True)
    with pytest.raises(DeviceError, match=r"neither.*riskwire\[cpu\]"):
        installed_runtime(lambda name: False)
    assert installed_runtime(lambda name: name == "onnxruntime-gpu") == "onnxruntime-gpu"
    assert installed_runtime() in {"onnxruntime", "onnxruntime-gpu"}
