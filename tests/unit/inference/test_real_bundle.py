"""The trained bundle: the prediction for a sentence does not depend on its batch, to the last bit."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from riskwire.errors import BundleError
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.settings import InferenceSettings

DEVELOPMENT_BUNDLE = Path(__file__).parents[3] / ".cache" / "dev-bundle"
SENTENCES = [
    "Profit warning.",
    "General Motors Corp will file for bankruptcy on Monday, sources familiar with the plans said.",
    "Apple shares rose 3 percent after the company reported record sales of phones in China.",
    "Moody's cut its rating of Ireland's government bonds by five notches, citing the cost of saving the banks.",
    "BP Plc said its latest attempt to plug the well in the Gulf of Mexico had failed, sending its shares down "
    "15 percent in London and wiping 12 billion pounds off the value of what was once the largest company in Britain.",
    "The Federal Reserve held interest rates.",
    "Dividend raised",
    "Nokia's chief executive, Stephen Elop, is to leave the company, it said in Helsinki.",
    "Fraud",
    "Toyota recalls 8 million cars over faulty pedals; U.S. regulators open a probe; analysts at UBS cut forecasts.",
]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Returns the installed model bundle or the one of the repository; skips the test if there is none."""
    for path in (None, DEVELOPMENT_BUNDLE):
        try:
            return Bundle.load(path)
        except BundleError:
            continue
    pytest.skip("no trained bundle is installed")


def bits(prediction: DocumentPrediction) -> list[object]:
    """Returns everything that a prediction contains, to the last bit; sentences without target logits are left out."""
    predictions = [sentence.prediction for sentence in prediction.sentences]
    return [
        (
            sentence.sentiment,
            sentence.topics,
            sentence.names,
            sentence.target_logits.tobytes(),
            sentence.levels and sentence.levels.logits.tobytes(),
            sentence.events and (sentence.events.labels, sentence.events.logits.tobytes(), sentence.events.of_no_party),
        )
        for sentence in predictions
        if sentence.target_logits is not None
    ]


async def predict(bundle: Bundle, documents: list[TextDocument], **settings: object) -> list[list[object]]:
    """Returns the predictions of documents bit by bit, by an engine with these settings and without a cache."""
    precision = "int8" if "int8" in bundle.manifest.files else "fp16"
    inference_settings = InferenceSettings.model_validate({"precision": precision, "cache": 0, **settings})
    async with Engine(bundle, inference_settings) as engine:
        return [bits(prediction) for prediction in await engine.predict(documents)]


async def test_other_sentences_order_batches_and_threads_do_not_change_a_prediction(bundle: Bundle) -> None:
    """Compares all sentences together, in random order among other sentences, and each alone."""
    documents = [TextDocument(text) for text in SENTENCES]
    together = await predict(bundle, documents, threads=2)
    assert all(predicted and predicted[0] for predicted in together)
    order = list(range(len(documents)))
    for seed in (1, 2):
        random.Random(seed).shuffle(order)
        shuffled = [documents[index] for index in order]
        other_documents = [TextDocument(f"Acme {seed} said {number}.") for number in range(30)]
        predictions = await predict(bundle, shuffled + other_documents, threads=seed, token_budget=256 * seed)
        assert [predictions[order.index(index)] for index in range(len(documents))] == together
    alone = [(await predict(bundle, [document], threads=1))[0] for document in documents]
    assert alone == together
