"""A bundle is made of two Hugging Face checkpoints: `riskwire model export --sentiment DIR --ner DIR`.

The checkpoints are small and random. They need the train extra.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models.libraries import CAN_TRAIN, needs_training
from typer.testing import CliRunner

from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import SentencePrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.settings import InferenceSettings
from riskwire_models.cli import app
from riskwire_models.data.labels import ENTITY_TAGS, ENTITY_TYPES
from riskwire_models.errors import ExportError
from riskwire_models.evaluation.engine_reading import read_with_engine
from riskwire_models.evaluation.onnx_runner import OnnxRunner
from riskwire_models.export.manifest import read_manifest

if CAN_TRAIN:
    import torch
    from small_models.checkpoints import write_classifier, write_tagger
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

    import riskwire_models.export.checkpoints as checkpoints_module
    from riskwire_models.evaluation.robustness import read_pairs
    from riskwire_models.export.checkpoints import export_checkpoints

pytestmark = needs_training

RUNNER = CliRunner()
WORDS = ("Acme", "Globex", "files", "for", "bankruptcy", "profit", "rises", "in", "Paris", "shares", "fall", "Jane")
SENTIMENTS = ("Positive", "Negative", "Neutral")
BIO = ("O", "B-MISC", "I-MISC", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
BIOES = ("O", *(f"{prefix}-{kind}" for kind in ("ORG", "PER", "LOC") for prefix in "BIES"))
TEXTS = (
    "Acme files for bankruptcy",
    "Globex profit rises in Paris",
    "shares of ACME fall, says Jane Doe",
    "acme shares fall",
    "Acme " * 200,
)


@pytest.fixture(scope="module", autouse=True)
def _few_sentences() -> Iterator[None]:
    """Lets the graphs be compared on eight sentences."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints_module, "read_pairs", lambda: read_pairs()[:4])
        yield


@pytest.fixture(name="sentiment", scope="module")
def _sentiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("checkpoints") / "Tiny FinBERT", WORDS, SENTIMENTS)


@pytest.fixture(name="tagger", scope="module")
def _tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tagger(tmp_path_factory.mktemp("checkpoints") / "tiny-NER", WORDS, BIO)


@pytest.fixture(name="bundle", scope="module")
def _bundle(sentiment: Path, tagger: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    export_checkpoints(sentiment, tagger, folder, threads=1, log=lambda line: None)
    return folder


def predictions(bundle: Path, texts: tuple[str, ...], **settings: Any) -> list[SentencePrediction]:
    async def read() -> list[SentencePrediction]:
        async with Engine(Bundle.load(bundle), InferenceSettings(threads=1, **settings)) as engine:
            documents = await engine.predict([TextDocument(text) for text in texts])
        return [document.sentences[0].prediction for document in documents]

    return asyncio.run(read())


def logits_of_torch(kind: Any, folder: Path, text: str) -> Any:
    """Returns the logits that transformers itself gives a text."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return kind.from_pretrained(folder)(**tokenizer(text, return_tensors="pt")).logits[0]


def test_the_bundle_holds_two_models_and_only_their_heads(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.name == "tiny-finbert-tiny-ner"
    assert set(manifest.heads) == {"sentiment", "entities"}
    assert manifest.heads["entities"].labels == ENTITY_TAGS
    assert manifest.sentiment_model is not None
    listed = {entry.path for entry in manifest.listed_files}
    assert listed == {
        f"{prefix}{name}"
        for prefix in ("", "sentiment.")
        for name in ("tokenizer.json", "model.int8.onnx", "model.fp16.onnx")
    }
    assert listed | {"bundle.json", "README.md"} == {path.name for path in bundle.iterdir()}
    assert (manifest.max_length, manifest.sentiment_model.max_length) == (128, 128)
    assert any("sentiment of its sentence" in note for note in manifest.notes)
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "a mention has the sentiment of its sentence" in card
    assert "Tiny FinBERT" in card


def test_the_sentiment_is_that_of_torch_in_the_order_of_a_bundle(bundle: Path, sentiment: Path) -> None:
    """The tokenizer of this checkpoint ignores case, that of the other does not."""
    fp16_predictions = predictions(bundle, TEXTS[:4], precision="fp16")
    int8_predictions = predictions(bundle, TEXTS[:4])
    for text, in_fp16, in_int8 in zip(TEXTS, fp16_predictions, int8_predictions, strict=False):
        positive, negative, neutral = (
            logits_of_torch(AutoModelForSequenceClassification, sentiment, text).softmax(-1).tolist()
        )
        assert in_fp16.sentiment == pytest.approx((negative, neutral, positive), abs=0.01)
        assert in_int8.sentiment == pytest.approx((negative, neutral, positive), abs=0.1)


def test_a_mention_has_the_sentiment_of_its_sentence_and_no_level(bundle: Path) -> None:
    for prediction in predictions(bundle, TEXTS):
        span = prediction.of_span(0, 4)
        assert (span.sentiment, span.level, span.events) == (prediction.sentiment, None, None)
        assert (prediction.topics, prediction.events_of_no_party) == ((), None)


def test_the_tags_of_words_are_those_of_torch(bundle: Path, tagger: Path) -> None:
    """Names are the words that torch tags as names, for a scheme in which a name may also begin with I-."""
    for text, prediction in zip(TEXTS[:4], predictions(bundle, TEXTS[:4], precision="fp16"), strict=True):
        tokenizer = AutoTokenizer.from_pretrained(tagger)
        encoding = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
        tags = [BIO[index] for index in logits_of_torch(AutoModelForTokenClassification, tagger, text).argmax(-1)]
        words = {word: position for position, word in reversed([*enumerate(encoding.word_ids())]) if word is not None}
        named = {encoding["offset_mapping"][first][0] for first in words.values() if tags[first] != "O"}
        inside = {
            encoding["offset_mapping"][first][0]
            for first in words.values()
            for name in prediction.names
            if name.start <= encoding["offset_mapping"][first][0] < name.end
        }
        letters = {start for start in named if text[start].isalnum()}
        assert letters == {start for start in inside if text[start].isalnum()}


@pytest.mark.parametrize("labels", [BIOES, ("O", "PER", "ORG", "LOC")], ids=["BIOES", "IO"])
def test_other_schemes_are_read_as_their_sums(sentiment: Path, tmp_path: Path, labels: tuple[str, ...]) -> None:
    tagger = write_tagger(tmp_path / "tagger", WORDS, labels, seed=5)
    bundle = tmp_path / "bundle"
    manifest = export_checkpoints(sentiment, tagger, bundle, name="Mine", threads=1, log=lambda line: None)
    assert manifest.name == "mine"
    assert "no names of the type MISC: the checkpoint has no such label" in manifest.notes
    ids = AutoTokenizer.from_pretrained(tagger)(TEXTS[0])["input_ids"]
    (read,) = OnnxRunner(bundle / "model.fp16.onnx", 1).predict([ids])
    shares = logits_of_torch(AutoModelForTokenClassification, tagger, TEXTS[0]).exp().numpy()
    for number, tag in enumerate(ENTITY_TAGS):
        prefix, _, kind = tag.partition("-")
        wanted = {"B": ("B", "S"), "I": ("I", "E")}.get(prefix, ())
        members = [i for i, label in enumerate(labels) if label == tag or label in {f"{p}-{kind}" for p in wanted}]
        members += [i for i, label in enumerate(labels) if prefix == "I" and label == kind]
        values = read["entities"][:, number]
        if members and prefix != "B":
            assert np.exp(values) == pytest.approx(shares[:, members].sum(1), rel=0.05)
        elif kind not in {label.rpartition("-")[2] for label in labels} and kind in ENTITY_TYPES:
            assert (values < -1000).all()


def test_a_roberta_checkpoint_is_read_too_though_its_positions_begin_later(sentiment: Path, tmp_path: Path) -> None:
    tagger = write_tagger(tmp_path / "tagger", WORDS, BIO, kind="roberta")
    manifest = export_checkpoints(sentiment, tagger, tmp_path / "bundle", threads=1, log=lambda line: None)
    assert manifest.max_length == 128
    assert predictions(tmp_path / "bundle", TEXTS)


def test_the_command_writes_a_bundle_that_score_reads(sentiment: Path, tagger: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    arguments = ["export", "--sentiment", sentiment, "--ner", tagger, "--out", folder, "--threads", 1]
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert "bundle tiny-finbert-tiny-ner 1.0.0 in" in result.output
    (scored,) = read_with_engine(folder, [(TEXTS[0], [(0, 4)])], 1)
    assert scored.sentiment == scored.sentences[0].sentiment
    assert scored.targets[0].sentiment == scored.sentences[0].sentiment
    assert (scored.targets[0].level, scored.targets[0].events) == (None, None)


def test_the_error_for_other_labels_names_them(sentiment: Path, tagger: Path, tmp_path: Path) -> None:
    stars = write_classifier(tmp_path / "stars", WORDS, ("LABEL_0", "LABEL_1", "LABEL_2"))
    dates = write_tagger(tmp_path / "dates", WORDS, ("O", "B-DATE", "I-DATE"))
    for first, second, message in (
        (stars, tagger, "error: the labels of the sequence classifier are 'LABEL_0', 'LABEL_1', 'LABEL_2'"),
        (sentiment, dates, "of which B-DATE, I-DATE cannot be mapped"),
        (tagger, tagger, "tiny-NER"),
        (sentiment, sentiment, "of which Positive, Negative, Neutral cannot be mapped"),
        (tmp_path, tagger, "holds no sequence classifier of transformers"),
    ):
        arguments = ["export", "--sentiment", first, "--ner", second, "--out", tmp_path / "out"]
        result = RUNNER.invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 1
        assert message in result.output
        assert not (tmp_path / "out").exists()


def test_a_checkpoint_without_trained_heads_is_refused(sentiment: Path, tagger: Path, tmp_path: Path) -> None:
    """transformers would give the head random weights, and warn."""
    bare = Path(shutil.copytree(sentiment, tmp_path / "bare"))
    from safetensors.torch import load_file, save_file

    weights = {name: value for name, value in load_file(bare / "model.safetensors").items() if "classifier" not in name}
    save_file(weights, bare / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ExportError, match=r"no trained sequence classifier: its file lacks the weight classifier"):
        export_checkpoints(bare, tagger, tmp_path / "out", threads=1, log=lambda line: None)


@pytest.mark.parametrize("options", [[], ["minilm"], ["minilm", "--sentiment"], ["--sentiment"], ["--ner"]])
def test_a_recipe_or_two_checkpoints_must_be_named(options: list[str], tmp_path: Path) -> None:
    arguments = [item for option in options for item in ([option, str(tmp_path)] if option[:2] == "--" else [option])]
    result = RUNNER.invoke(app, ["export", *arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "name a recipe and --data, or --sentiment and --ner" in result.output


def test_evaluate_measures_the_heads_that_the_bundle_has(bundle: Path, data_folder: Path) -> None:
    arguments = ["evaluate", bundle, "--data", data_folder, "--threads", 1]
    result = RUNNER.invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert {line.split("│")[2].strip() for line in result.output.splitlines() if line.startswith("│ int8")} == {
        "sentiment",
        "entities",
        "never seen",
    }
