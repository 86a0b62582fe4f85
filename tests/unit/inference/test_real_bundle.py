"""The trained bundle: what a sentence gets does not depend on its neighbours, to the last bit."""

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

DEVELOPMENT = Path(__file__).parents[3] / ".cache" / "dev-bundle"
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
    for path in (None, DEVELOPMENT):
        try:
            return Bundle.load(path)
        except BundleError:
            continue
    pytest.skip("no trained bundle here")


def told(reading: DocumentPrediction) -> list[object]:
    return [
        (one.prediction.sentiment, one.prediction.topics, one.prediction.names, one.prediction.target_logits.tobytes())
        for one in reading.sentences
        if one.prediction.target_logits is not None
    ]


async def read(bundle: Bundle, documents: list[TextDocument], **settings: object) -> list[list[object]]:
    precision = "int8" if "int8" in bundle.manifest.files else "fp16"
    given = InferenceSettings.model_validate({"precision": precision, "cache": 0, **settings})
    async with Engine(bundle, given) as engine:
        return [told(one) for one in await engine.predict(documents)]


async def test_neighbours_order_batches_and_threads_change_nothing(bundle: Bundle) -> None:
    documents = [TextDocument(text) for text in SENTENCES]
    together = await read(bundle, documents, threads=2)
    assert all(one and one[0] for one in together)
    order = list(range(len(documents)))
    for seed in (1, 2):
        random.Random(seed).shuffle(order)
        crowd = [documents[at] for at in order] + [TextDocument(f"Acme {seed} said {at}.") for at in range(30)]
        shuffled = await read(bundle, crowd, threads=seed, token_budget=256 * seed)
        assert [shuffled[order.index(at)] for at in range(len(documents))] == together
    alone = [(await read(bundle, [document], threads=1))[0] for document in documents]
    assert alone == together
