"""A bundle of two models: one finds names, the other gives the sentiment of sentences, each with its own tokens."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskwire.errors import BundleError
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import SentencePrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.settings import InferenceSettings

SHORT = 8
"""Tokens of a window of the second model: it reads the long texts below in several windows, the first in one."""
TEXTS = [
    "Acme Corp fraud",
    "Globex wins",
    "Acme Corp loss crisis fraud Globex wins Acme Corp fraud Globex wins Acme Corp",
    "Acme Corp loss.\n\nGlobex wins Acme Corp fraud Globex wins Acme Corp fraud Globex wins.",
]


@pytest.fixture(name="changed")
def _changed(tiny_bundle: Path, tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that copies the tiny bundle, changes its manifest, and returns the folder."""

    def change(**fields: Any) -> Path:
        folder = Path(shutil.copytree(tiny_bundle, tmp_path / f"bundle{len(list(tmp_path.iterdir()))}"))
        file = folder / "bundle.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))
        return folder

    return change


@pytest.fixture(name="two_models")
def _two_models(tiny_bundle: Path, changed: Callable[..., Path]) -> Path:
    """Folder of a bundle whose second model has the weights of the first, and shorter windows."""
    manifest = json.loads((tiny_bundle / "bundle.json").read_text())
    folder = changed()
    second: dict[str, Any] = {"max_length": SHORT, "files": {}}
    for kind, entry in (("tokenizer", manifest["tokenizer"]), *manifest["files"].items()):
        path = f"sentiment.{entry['path']}"
        shutil.copy(folder / entry["path"], folder / path)
        copied = {**entry, "path": path}
        if kind == "tokenizer":
            second["tokenizer"] = copied
        else:
            second["files"][kind] = copied
    (folder / "bundle.json").write_text(json.dumps(manifest | {"sentiment_model": second}))
    return folder


async def read(folder: Path, **settings: Any) -> list[SentencePrediction]:
    """Returns the predictions of all sentences of the texts."""
    async with Engine(Bundle.load(folder), InferenceSettings(**settings)) as engine:
        predictions = await engine.predict([TextDocument(text) for text in TEXTS])
    return [sentence.prediction for prediction in predictions for sentence in prediction.sentences]


def of_words(prediction: SentencePrediction) -> tuple[object, ...]:
    """Returns all that the first model says."""
    spans = [prediction.of_span(name.start, name.end) for name in prediction.names]
    return prediction.names, prediction.topics, prediction.events_of_no_party, spans


async def test_the_first_model_reads_names_and_the_second_the_sentiment(
    two_models: Path, tiny_bundle: Path, changed: Callable[..., Path]
) -> None:
    both, first, short = await read(two_models), await read(tiny_bundle), await read(changed(max_length=SHORT))
    assert list(map(of_words, both)) == list(map(of_words, first))
    assert [sentence.sentiment for sentence in both] == [sentence.sentiment for sentence in short]
    assert [sentence.sentiment for sentence in short] != [sentence.sentiment for sentence in first]


@pytest.mark.parametrize("precision", ["int8", "fp16"])
async def test_the_answers_do_not_depend_on_the_batch(two_models: Path, precision: str) -> None:
    small = await read(two_models, precision=precision, threads=1, token_budget=128)
    large = await read(two_models, precision=precision, threads=2)
    assert list(map(of_words, small)) == list(map(of_words, large))
    assert [sentence.sentiment for sentence in small] == [sentence.sentiment for sentence in large]


@pytest.mark.parametrize("file", ["sentiment.tokenizer.json", "sentiment.model.int8.onnx"])
async def test_a_changed_file_of_the_second_model_is_refused(two_models: Path, file: str) -> None:
    (two_models / file).write_bytes((two_models / file).read_bytes() + b" ")
    with pytest.raises(BundleError, match=rf"{file}: the file does not match bundle\.json"):
        await read(two_models)


async def test_a_missing_precision_of_the_second_model_is_named(two_models: Path) -> None:
    file = two_models / "bundle.json"
    manifest = json.loads(file.read_text())
    del manifest["sentiment_model"]["files"]["int8"]
    file.write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="no int8 file; it has fp16"):
        await read(two_models)


def test_a_bundle_of_one_model_has_one(tiny_bundle: Path, two_models: Path) -> None:
    (only,) = Bundle.load(tiny_bundle).models
    first, second = Bundle.load(two_models).models
    assert {**first.heads, **second.heads} == only.heads
    assert list(second.heads) == ["sentiment"]
    assert (first.max_length, second.max_length) == (only.max_length, SHORT)
