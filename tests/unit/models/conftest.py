"""A data folder of invented sentences, and small encoders in place of the pretrained ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_models.data_folder import words_of, write_data_folder

import riskwire_models.data.corpus as corpus_module


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a small file for every training set and for the first set that is never trained on."""
    return write_data_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def base_folders(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> dict[str, Path]:
    """Folders of small encoders with random weights, by the name of the base model that each replaces."""
    from small_models.encoder import write_base

    words = [*words_of(data_folder), *(f"word{number}" for number in range(256))]
    return {
        name: write_base(tmp_path_factory.mktemp(name), kind, words, size=64)
        for name, kind in (("minilm", "bert"), ("mpnet", "mpnet"))
    }


@pytest.fixture
def small_bases(base_folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Lets training start from the small encoders, with few generated statements."""
    import riskwire_models.training.train as train_module

    monkeypatch.setattr(train_module, "base_model_folder", base_folders.__getitem__)
    monkeypatch.setattr(corpus_module, "STATEMENTS", 20)
    return base_folders


@pytest.fixture(scope="session", autouse=True)
def _no_labels_by_id(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hides the labels that ship: they name rows of the real data sets, which the tests do not read."""
    folder = tmp_path_factory.mktemp("labels")
    (folder / "disagreements.jsonl").touch()
    (folder / "headlines.tsv").write_text("{A} plunges\tA=2:price_fall\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("riskwire_models.data.corpus.LABELS", folder)
        yield
