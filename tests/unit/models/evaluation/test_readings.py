"""Bundles read all training texts, for a smaller model to learn from (`riskwire model read`)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_models.data_folder import words_of
from small_models.libraries import CAN_TRAIN, needs_training
from typer.testing import CliRunner

import riskwire_models.data.corpus as corpus_module
import riskwire_models.evaluation.readings as readings_module
from riskwire_models.cli import app
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.encoding import load_tokenizer
from riskwire_models.data.labels import ENTITY_TAGS, HEADS, pieces_inside
from riskwire_models.data.teacher import TextReading, key_of, read_readings, with_readings
from riskwire_models.errors import BundleFolderError
from riskwire_models.evaluation.onnx_runner import HeadLogits, OnnxRunner
from riskwire_models.evaluation.readings import MAX_MENTIONS, NEWS_SETS, SEED, read_training_texts
from riskwire_models.export.manifest import read_manifest

if CAN_TRAIN:
    from small_models.bundle import TEMPERATURES, write_small_bundle

RUNNER = CliRunner()
#: Half a level of the file, which holds multiples of 1/255, and what the new total of a distribution adds to it.
ROUNDING = 0.006


@pytest.fixture(name="news")
def _news(data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a copy of the data folder with few texts; the last is longer than a model reads."""
    monkeypatch.setattr(corpus_module, "STATEMENTS", 5)
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    for path in folder.rglob("*.jsonl"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:9]))
    long_text = "Acme falls " + "qxzj " * 31 + "Globex"
    spans = [(0, 4), (long_text.index("Globex"), len(long_text))]
    targets = [{"start": start, "end": end, "level": "1", "events": []} for start, end in spans]
    with (folder / "risk" / "train.jsonl").open("a") as file:
        file.write(json.dumps({"text": long_text, "targets": targets}) + "\n")
    return folder


@pytest.fixture(name="bundles", scope="module")
def _bundles(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> dict[str, Path]:
    """Returns the folders of two small bundles; the second lacks most words, so it splits texts into more pieces."""
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "bert": write_small_bundle(folder / "bert", "bert", words_of(data_folder)),
        "mpnet": write_small_bundle(folder / "mpnet", "mpnet", ["acme", "qxzj"], seed=2),
    }


def read_all(bundles: list[Path], names: Path, news: Path, out: Path) -> dict[int, TextReading]:
    """Returns the readings of the bundles, and checks their number."""
    count = read_training_texts(bundles, names, news, out, threads=1, log=lambda line: None)
    readings = read_readings(out)
    assert len(readings) == count
    return readings


@needs_training
def test_every_text_of_the_train_split_and_every_labelled_mention_is_read(
    bundles: dict[str, Path], news: Path, tmp_path: Path
) -> None:
    readings = read_all([bundles["bert"]], bundles["bert"], news, tmp_path / "r.npz")
    examples = training_corpus(news, NEWS_SETS, SEED)["train"]
    assert readings.keys() == {key_of(example.text) for example in examples}
    for example in with_readings(examples, readings):
        assert example.teacher is not None
        assert len(example.targets) <= MAX_MENTIONS
        # The last name of the long text is behind the word pieces that a model reads.
        unread = [example.text[item.start : item.end] for item in example.targets if item.teacher is None]
        assert unread == (["Globex"] if "qxzj" in example.text else [])
    mentions = [mention for reading in readings.values() for mention in reading.mentions.values()]
    for values in (*(mention.level for mention in mentions), *(item.sentence.topics for item in readings.values())):
        assert sum(values) == pytest.approx(1.0, abs=1e-5)


@needs_training
def test_a_reading_has_the_calibrated_probabilities_of_the_mean_over_the_pieces(
    bundles: dict[str, Path], news: Path, tmp_path: Path
) -> None:
    readings = read_all([bundles["bert"]], bundles["bert"], news, tmp_path / "r.npz")
    example = next(item for item in training_corpus(news, NEWS_SETS, SEED)["train"] if item.source == "risk")
    pieces = load_tokenizer(bundles["bert"] / "tokenizer.json").encode(example.text)
    (logits,) = OnnxRunner(bundles["bert"] / "model.int8.onnx").predict([pieces.ids])
    reading = readings[key_of(example.text)]

    def softmax(values: np.ndarray, head: str) -> list[float]:
        exponents = np.exp(values / TEMPERATURES[head])
        return (exponents / exponents.sum()).tolist()

    def sigmoid(values: np.ndarray) -> list[float]:
        return (1 / (1 + np.exp(-values / TEMPERATURES["events"]))).tolist()

    assert reading.sentence.sentiment == pytest.approx(softmax(logits["sentiment"], "sentiment"), abs=ROUNDING)
    assert reading.sentence.topics == pytest.approx(softmax(logits["topics"], "topics"), abs=ROUNDING)
    assert reading.sentence.events == pytest.approx(sigmoid(logits["events"][0]), abs=ROUNDING)
    for target in example.targets:
        mention = reading.mentions[target.start, target.end]
        inside = pieces_inside(pieces.offsets, target.start, target.end)
        assert mention.level == pytest.approx(softmax(logits["level"][inside].mean(0), "level"), abs=ROUNDING)
        assert mention.events == pytest.approx(sigmoid(logits["events"][inside].mean(0)), abs=ROUNDING)


@needs_training
def test_the_mean_of_several_bundles_is_written(bundles: dict[str, Path], news: Path, tmp_path: Path) -> None:
    """Only mentions that every bundle reads: one may cut a long text earlier than another."""
    first, second = bundles.values()
    both = read_all([first, second], first, news, tmp_path / "both.npz")
    of_first = read_all([first], first, news, tmp_path / "single.npz")
    of_second = read_all([second], first, news, tmp_path / "single.npz")
    assert read_all([second, first], first, news, tmp_path / "both.npz").keys() == both.keys()
    assert both.keys() == of_first.keys() == of_second.keys()
    assert any(of_first[key].mentions.keys() != of_second[key].mentions.keys() for key in both)
    for key, reading in both.items():
        assert reading.mentions.keys() == of_first[key].mentions.keys() & of_second[key].mentions.keys()
        for span, mention in reading.mentions.items():
            mean = np.mean([of_first[key].mentions[span].level, of_second[key].mentions[span].level], axis=0)
            assert mention.level == pytest.approx(mean.tolist(), abs=2 * ROUNDING)
        mean = np.mean([of_first[key].sentence.events, of_second[key].sentence.events], axis=0)
        assert reading.sentence.events == pytest.approx(mean.tolist(), abs=2 * ROUNDING)


@needs_training
def test_the_mentions_of_a_text_are_those_of_all_sets_that_hold_it(
    bundles: dict[str, Path], news: Path, tmp_path: Path
) -> None:
    text = "Hooli and Stark plunge"
    for name, start in (("sentfin", 0), ("finentity", 10)):
        row = {"text": text, "entities": [{"start": start, "end": start + 5, "label": "negative"}]}
        (news / "entity_sentiment" / f"{name}_train.jsonl").write_text(json.dumps(row))
    (news / "topic" / "tfn_topic_train.jsonl").write_text(json.dumps({"text": text, "label": "Stock Movement"}))
    readings = read_all([bundles["bert"]], bundles["mpnet"], news, tmp_path / "r.npz")
    assert {(0, 5), (10, 15)} <= readings[key_of(text)].mentions.keys()


@needs_training
def test_the_command_writes_the_readings_and_says_how_many(
    bundles: dict[str, Path], news: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r.npz"
    arguments = ["read", bundles["bert"], "--data", news, "--out", out, "--names", bundles["mpnet"], "--threads", 1]
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    count = len({example.text for example in training_corpus(news, NEWS_SETS, SEED)["train"]})
    assert f"readings of {count} texts in {out}" in " ".join(result.output.split())


def test_a_bundle_without_a_level_cannot_be_a_teacher(
    bundle_copy: Callable[..., Path], data_folder: Path, tmp_path: Path
) -> None:
    bundle = bundle_copy(without=("level", "events"))
    with pytest.raises(BundleFolderError, match="has no head for the level of mentions, so it cannot be a teacher"):
        read_training_texts([bundle], bundle, data_folder, tmp_path / "r.npz")
    assert not (tmp_path / "r.npz").exists()


def test_names_are_found_as_words_without_punctuation_and_possessive(
    tiny_bundle: Path, bundle_copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tags of the first piece of each word decide."""
    folder = bundle_copy()
    reader = readings_module._Reader(folder, read_manifest(folder), 1)
    text = "(Acme's Bank) fell, says Doe’s U.S. unit."
    words = {"(Acme's": "B-ORG", "Bank)": "I-ORG", "Doe’s": "B-PER", "U.S.": "B-LOC"}
    offsets, tags, position = [(0, 0)], ["O"], 0
    for word in text.split():
        start = text.index(word, position)
        position = start + len(word)
        offsets += [(start, start + 1), (start + 1, position)]
        tags += [words.get(word, "O"), "B-MISC"]
    logits = HeadLogits({"entities": np.eye(len(ENTITY_TAGS))[[ENTITY_TAGS.index(tag) for tag in tags]]})
    monkeypatch.setattr(reader, "_predict", lambda texts: ([offsets], [logits]))
    assert [text[start:end] for start, end in reader.names([text])[0]] == ["(Acme's Bank", "Doe", "U.S"]


def test_the_news_sets_teach_the_heads_of_mentions() -> None:
    """Sets of names in other texts are left out: a model's readings of such texts do not teach about risk."""
    assert {"risk", "risk_statements", "tfns"} <= set(NEWS_SETS)
    assert not {"wikigold", "btc", "risk_open"} & set(NEWS_SETS)
    assert set(HEADS) >= {"level", "events"}
