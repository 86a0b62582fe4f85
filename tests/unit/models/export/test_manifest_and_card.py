"""The manifest of a bundle (bundle.json) and its card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from riskwire_models.data.catalogue import data_set_by_name
from riskwire_models.data.labels import HEADS
from riskwire_models.errors import BundleFolderError
from riskwire_models.export.card import render_card, score_table
from riskwire_models.export.default_bundle import describe_bundle, training_set_entry, write_tokenizer
from riskwire_models.export.manifest import BundleManifest, read_manifest, sha256_of, write_manifest
from riskwire_models.training.base import BASE_MODELS

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
    """Returns a folder with a tokenizer and two placeholder model files, which can be described as a bundle."""
    source = tmp_path / "source.json"
    source.write_text(json.dumps({"truncation": {"max_length": 128}, "padding": {"strategy": "Fixed"}, "model": "é"}))
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_tokenizer(source, folder)
    (folder / "model.int8.onnx").write_bytes(b"int8")
    (folder / "model.fp16.onnx").write_bytes(b"fp16")
    return folder


def manifest_of(folder: Path) -> BundleManifest:
    """Returns the manifest of a folder, as the build command writes it."""
    return describe_bundle(
        folder,
        name="finance-test",
        base=BASE_MODELS["minilm"],
        encoder={"model_type": "bert", "hidden_size": 384},
        temperatures={"sentiment": 1.07, "target_sentiment": 1.1, "topics": 0.9, "level": 1.2, "events": 0.8},
        thresholds={"level": 0.45, "events": 0.4},
        training=[
            training_set_entry(data_set_by_name("finentity"), 717),
            training_set_entry(data_set_by_name("sec"), 2400),
        ],
        scores=SCORES,
        seed=17,
        command="riskwire model build",
        notes=["3600 of 3600 steps"],
    )


def test_a_manifest_that_is_written_and_read_is_equal(folder: Path) -> None:
    manifest = manifest_of(folder)
    write_manifest(folder, manifest)
    assert read_manifest(folder) == manifest


def test_the_manifest_has_the_form_that_the_engine_reads(folder: Path) -> None:
    write_manifest(folder, manifest_of(folder))
    content = json.loads((folder / "bundle.json").read_text())
    assert content["format"] == 1
    assert {name: tuple(head["labels"]) for name, head in content["heads"].items()} == HEADS
    assert content["heads"]["sentiment"]["temperature"] == 1.07
    assert content["heads"]["level"]["threshold"] == 0.45
    assert not {"temperature", "threshold"} & set(content["heads"]["entities"])
    assert content["name"] == "finance-test"
    assert content["base"]["name"] == "all-MiniLM-L6-v2"
    assert content["encoder"] == {"model_type": "bert", "hidden_size": 384}
    assert content["files"]["int8"] == {
        "path": "model.int8.onnx",
        "sha256": sha256_of(folder / "model.int8.onnx"),
        "device": "cpu",
    }
    assert content["files"]["fp16"]["device"] == "cuda"


def test_the_tokenizer_neither_pads_nor_truncates(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert content == {"truncation": None, "padding": None, "model": "é"}


def test_the_manifest_lists_only_precisions_with_a_file(folder: Path) -> None:
    (folder / "model.fp16.onnx").unlink()
    assert set(manifest_of(folder).files) == {"int8"}


def test_a_file_with_a_different_checksum_is_refused(folder: Path) -> None:
    write_manifest(folder, manifest_of(folder))
    (folder / "model.int8.onnx").write_bytes(b"other")
    with pytest.raises(BundleFolderError, match=r"model\.int8\.onnx has SHA-256"):
        read_manifest(folder)


def test_a_missing_manifest_and_an_unknown_format_are_refused(folder: Path) -> None:
    with pytest.raises(BundleFolderError, match="no bundle in"):
        read_manifest(folder)
    (folder / "bundle.json").write_text('{"format": 2}')
    with pytest.raises(BundleFolderError, match="is not a bundle of format 1"):
        read_manifest(folder)


def test_the_card_lists_every_data_set_with_licence_and_attribution(folder: Path) -> None:
    text = render_card(manifest_of(folder))
    for expected in ("ODC-BY 1.0", "Tang et al. (2023)", "717", "statements written by rule", "Apache-2.0", "seed 17"):
        assert expected in text
    assert "3600 of 3600 steps" in text


def test_the_card_shows_the_scores_of_every_precision_and_of_never_seen_sets(folder: Path) -> None:
    manifest = manifest_of(folder)
    text = render_card(manifest)
    assert "| sentiment, all | 10 | accuracy | 0.900 | 0.900 | 0.900 |" in text
    assert "| phrasebank | 9 | macro-f1 | 0.700 | 0.700 | 0.700 |" in text
    assert "0 of 100 readings differed" in text
    assert "| sentiment | 1.07 | 0.05 | 0.02 | 0.4 | 0.38 |" in text
    assert score_table(manifest, "held_out")[0] == ["measured on", "n", "figure", "fp32", "int8", "fp16"]


def test_the_card_shows_the_risk_figures_with_their_intervals_and_thresholds(folder: Path) -> None:
    risk = {"n": 9, "accuracy": 0.7, "material_recall": 0.91, "level_ece": 0.03}
    held_out = {"risk": {"all": risk}}
    scores = {"risk": {"material_recall": [0.91, 0.87, 0.94]}, "int8": {"held_out": held_out, "never_seen": {}}}
    text = render_card(manifest_of(folder).model_copy(update={"scores": scores}))
    assert "| material recognised as adverse | 0.910 (0.870 to 0.940) |" in text
    assert "\nfrom a probability of 0.45, an event type is named from 0.4." in text
    assert "| risk, all | 9 | material recognised as adverse | 0.910 |" in text
    assert "| risk, all | 9 | calibration error of level | 0.030 |" in text
    assert "| risk, all | 9 | accuracy" not in text


def test_the_card_says_what_the_heads_of_a_bundle_say(folder: Path) -> None:
    manifest = manifest_of(folder)
    assert "how bad it is for each of them" in render_card(manifest)
    four = {name: head for name, head in manifest.heads.items() if name not in ("level", "events")}
    assert "how bad" not in render_card(manifest.model_copy(update={"heads": four}))


def test_the_card_of_a_manifest_without_scores_has_no_score_tables(folder: Path) -> None:
    manifest = manifest_of(folder).model_copy(update={"scores": {}})
    assert score_table(manifest, "held_out") == ([], [])
    assert "## Scores" in render_card(manifest)
