"""What the model has read is kept exactly, and is not read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from riskwire.backtest.cached_engine import CachedEngine
from riskwire.backtest.readings import ReadingFile, decoded, encoded, readings_id
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import SentencePrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.settings import InferenceSettings

DOCUMENTS = [
    TextDocument.of_article("Acme Corp plunges on fraud probe", "Globex Inc gains. Acme Corp in crisis."),
    TextDocument.of_article("Ireland upgrade", ""),
    TextDocument.of_article("Acme Corp plunges on fraud probe", "Globex Inc gains."),
]


def assert_equal(first: SentencePrediction, second: SentencePrediction) -> None:
    """Asserts that two predictions are equal in every field and bit."""
    assert first.sentiment == second.sentiment
    assert first.topics == second.topics
    assert first.names == second.names
    assert first.temperature == second.temperature
    assert np.array_equal(first.offsets, second.offsets)
    assert first.events_of_no_party == second.events_of_no_party
    for head in ("target_logits", "levels", "events"):
        assert (getattr(first, head) is None) == (getattr(second, head) is None)
    assert first.of_span(0, 9) == second.of_span(0, 9)


async def test_a_prediction_is_the_same_after_it_was_kept(tiny_bundle: Path, four_head_bundle: Path) -> None:
    """With and without the heads for level and events."""
    for folder in (tiny_bundle, four_head_bundle):
        async with Engine(Bundle.load(folder)) as engine:
            for document in await engine.predict(DOCUMENTS):
                for sentence in document.sentences:
                    assert_equal(decoded(encoded(sentence.prediction)), sentence.prediction)


async def test_a_second_run_reads_nothing_and_predicts_the_same(tiny_bundle: Path, tmp_path: Path) -> None:
    """The second engine never loads the model; documents, spans and skipped sentences are those of the engine."""
    bundle, settings = Bundle.load(tiny_bundle), InferenceSettings(max_sentences=2)
    async with Engine(bundle, settings) as engine:
        expected = await engine.predict(DOCUMENTS)
    for run in ("first", "second"):
        readings = ReadingFile(tmp_path / "readings.sqlite")
        async with CachedEngine(bundle, settings, readings) as cached:
            documents = await cached.predict(DOCUMENTS)
        readings.close()
        assert (cached.read, cached.known) == ((3, 0) if run == "first" else (0, 3))
        for document, expected_document in zip(documents, expected, strict=True):
            assert document.document == expected_document.document
            assert document.skipped == expected_document.skipped
            assert [sentence.span for sentence in document.sentences] == [
                sentence.span for sentence in expected_document.sentences
            ]
            for sentence, reading in zip(document.sentences, expected_document.sentences, strict=True):
                assert_equal(sentence.prediction, reading.prediction)


def test_the_readings_of_another_bundle_or_precision_are_other_readings(
    tiny_bundle: Path, four_head_bundle: Path
) -> None:
    bundle = Bundle.load(tiny_bundle)
    ids = {
        readings_id(bundle, InferenceSettings()),
        readings_id(bundle, InferenceSettings(precision="fp16")),
        readings_id(Bundle.load(four_head_bundle), InferenceSettings()),
    }
    assert len(ids) == 3
    assert readings_id(bundle, InferenceSettings(threads=1, max_sentences=3)) in ids
