"""bundle.json and the card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from riskwire_models.data.catalogue import data_set
from riskwire_models.data.labels import HEADS
from riskwire_models.errors import BundleError
from riskwire_models.export.bundle import Bundle, read_bundle, sha256_of, write_bundle
from riskwire_models.export.card import card, score_rows
from riskwire_models.export.describe import describe, training_entry, write_tokenizer

HELD_OUT = {
    "sentiment": {"all": {"n": 10, "accuracy": 0.9, "macro_f1": 0.8}},
    "entities": {"all gold": {"n": 5, "precision": 0.7, "recall": 0.7, "f1": 0.7}},
}
SCORES = {
    precision: {"held_out": HELD_OUT, "never_seen": {"phrasebank": {"n": 9, "accuracy": 0.77, "macro_f1": 0.7}}}
    for precision in ("fp32", "int8", "fp16")
} | {
    "calibration": {"sentiment": {"raw": 0.05, "calibrated": 0.02, "nll_raw": 0.4, "nll_calibrated": 0.38}},
    "invariance": {"int8": {"differing": 0, "compared": 100}},
}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    source = tmp_path / "source.json"
    source.write_text(json.dumps({"truncation": {"max_length": 128}, "padding": {"strategy": "Fixed"}, "model": "é"}))
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_tokenizer(source, folder)
    (folder / "model.int8.onnx").write_bytes(b"int8")
    (folder / "model.fp16.onnx").write_bytes(b"fp16")
    return folder


def described(folder: Path) -> Bundle:
    return describe(
        folder,
        temperatures={"sentiment": 1.07, "target_sentiment": 1.1, "topics": 0.9},
        training=[training_entry(data_set("finentity"), 717), training_entry(data_set("sec"), 2400)],
        scores=SCORES,
        seed=17,
        command="riskwire model build",
        notes=["3600 of 3600 steps"],
    )


def test_a_written_bundle_reads_back_the_same(folder: Path) -> None:
    bundle = described(folder)
    write_bundle(folder, bundle)
    assert read_bundle(folder) == bundle


def test_the_file_has_the_shape_the_engine_reads(folder: Path) -> None:
    write_bundle(folder, described(folder))
    content = json.loads((folder / "bundle.json").read_text())
    assert content["format"] == 1
    assert {name: tuple(head["labels"]) for name, head in content["heads"].items()} == HEADS
    assert content["heads"]["sentiment"]["temperature"] == 1.07
    assert "temperature" not in content["heads"]["entities"]
    assert content["files"]["int8"] == {
        "path": "model.int8.onnx",
        "sha256": sha256_of(folder / "model.int8.onnx"),
        "device": "cpu",
    }
    assert content["files"]["fp16"]["device"] == "cuda"


def test_the_tokenizer_neither_pads_nor_cuts(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert content == {"truncation": None, "padding": None, "model": "é"}


def test_a_precision_that_was_not_written_is_not_promised(folder: Path) -> None:
    (folder / "model.fp16.onnx").unlink()
    assert set(described(folder).files) == {"int8"}


def test_a_changed_file_is_named(folder: Path) -> None:
    write_bundle(folder, described(folder))
    (folder / "model.int8.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"model\.int8\.onnx has SHA-256"):
        read_bundle(folder)


def test_a_missing_file_and_a_foreign_format_are_named(folder: Path) -> None:
    with pytest.raises(BundleError, match="no bundle in"):
        read_bundle(folder)
    (folder / "bundle.json").write_text('{"format": 2}')
    with pytest.raises(BundleError, match="is not a bundle of format 1"):
        read_bundle(folder)


def test_the_card_names_every_set_with_licence_and_attribution(folder: Path) -> None:
    text = card(described(folder))
    for words in ("ODC-BY 1.0", "Tang et al. (2023)", "717", "statements written by rule", "Apache-2.0", "seed 17"):
        assert words in text
    assert "3600 of 3600 steps" in text


def test_the_card_shows_every_precision_and_what_was_never_seen(folder: Path) -> None:
    bundle = described(folder)
    text = card(bundle)
    assert "| sentiment, all | 10 | accuracy | 0.900 | 0.900 | 0.900 |" in text
    assert "| phrasebank | 9 | macro-f1 | 0.700 | 0.700 | 0.700 |" in text
    assert "0 of 100 readings differed" in text
    assert "| sentiment | 1.07 | 0.05 | 0.02 | 0.4 | 0.38 |" in text
    assert score_rows(bundle, "held_out")[0] == ["measured on", "n", "figure", "fp32", "int8", "fp16"]


def test_a_bundle_without_figures_has_a_card_without_tables(folder: Path) -> None:
    bundle = described(folder).model_copy(update={"scores": {}})
    assert score_rows(bundle, "held_out") == ([], [])
    assert "## Scores" in card(bundle)
