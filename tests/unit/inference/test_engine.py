"""The engine: the prediction for a sentence depends on nothing but the sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from riskwire import metrics
from riskwire.errors import RiskwireError
from riskwire.inference.model.batches import PADDING_STEP, pack, padded_length
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.inference.model.session import ModelSession
from riskwire.inference.model.tokens import TokenEncoder
from riskwire.settings import InferenceSettings

TEXTS = [
    "Acme Corp plunges",
    "Globex wins",
    "Fraud at Acme Corp of Ireland",
    "General Motors profit rises after the crisis",
    "Jane Doe said it is a record loss for the group in Dublin",
    "Bankruptcy",
]


def bits(prediction: DocumentPrediction) -> list[tuple[object, ...]]:
    """Returns everything that a prediction contains, to the last bit."""
    return [
        (
            sentence.start,
            sentence.end,
            sentence.prediction.sentiment,
            sentence.prediction.topics,
            sentence.prediction.names,
            None if sentence.prediction.target_logits is None else sentence.prediction.target_logits.tobytes(),
        )
        for sentence in prediction.sentences
    ]


async def predict(bundle: Path, documents: list[TextDocument], **settings: object) -> list[DocumentPrediction]:
    async with Engine(Bundle.load(bundle), InferenceSettings(**settings)) as engine:
        return await engine.predict(documents)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
async def test_a_prediction_has_the_same_bits_in_any_batch(tiny_bundle: Path, precision: str) -> None:
    """All documents together, in reverse order, and each alone give equal predictions, without the cache."""

    async def predicted(documents: list[TextDocument], **settings: object) -> list[list[tuple[object, ...]]]:
        predictions = await predict(tiny_bundle, documents, precision=precision, cache=0, **settings)
        return [bits(prediction) for prediction in predictions]

    documents = [TextDocument(text) for text in TEXTS]
    together = await predicted(documents)
    backwards = (await predicted(documents[::-1]))[::-1]
    alone = [(await predicted([document], threads=1))[0] for document in documents]
    assert together == backwards == alone


async def test_a_row_of_a_dynamically_quantised_model_depends_on_the_other_rows(tiny_bundle: Path) -> None:
    """That is why the rows of such a model (int8) run alone: `rows_alone`. Those of the fp16 model need not.

    Runs the same sentence beside another one and alone; the logits differ.
    """
    bundle = Bundle.load(tiny_bundle)
    session = ModelSession(bundle)
    assert session.rows_alone
    assert not ModelSession(bundle, precision="fp16").rows_alone
    tokenized = TokenEncoder(bundle.tokenizer_path, 32).encode(["fraud", "fraud loss crisis"])
    ids = np.zeros((2, 16), dtype=np.int64)
    mask = np.zeros((2, 16), dtype=np.int64)
    for row, sentence in enumerate(tokenized):
        window = sentence.windows[0]
        ids[row, : len(window)], mask[row, : len(window)] = window.ids, 1
    together = session.run(ids, mask)["sentiment"][0]
    alone = session.run(ids[:1], mask[:1])["sentiment"][0]
    assert together.tolist() != alone.tolist()


async def test_predictions_are_in_document_order_and_identical_sentences_are_computed_once(tiny_bundle: Path) -> None:
    """300 documents have six different sentences. The metric counts the sentences that the model ran on."""
    documents = [TextDocument(TEXTS[number % len(TEXTS)]) for number in range(300)]
    computed = metrics.SENTENCES.labels(result="computed")._value
    before = computed.get()
    predictions = await predict(tiny_bundle, documents, queue=7)
    assert [prediction.document for prediction in predictions] == documents
    assert computed.get() - before == len(TEXTS)


async def test_concurrent_requests_each_get_their_own_predictions(tiny_bundle: Path) -> None:
    """Each of 40 requests has one negative and one positive document. Sentiment is negative, neutral, positive."""
    async with Engine(Bundle.load(tiny_bundle), InferenceSettings(queue=4, token_budget=128)) as engine:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    engine.predict([TextDocument(f"Acme loss {number}"), TextDocument(f"Globex wins {number}")])
                )
                for number in range(40)
            ]
        for number, task in enumerate(tasks):
            loss, win = task.result()
            assert (loss.document.content, win.document.content) == (f"Acme loss {number}", f"Globex wins {number}")
            assert loss.sentences[0].prediction.sentiment[0] > 0.5
            assert win.sentences[0].prediction.sentiment[2] > 0.5


async def test_a_cancelled_request_does_not_cancel_another_for_the_same_sentence(tiny_bundle: Path) -> None:
    """Both requests wait for one computation, which goes on for the second request."""
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        document = TextDocument("Acme Corp fraud")
        cancelled = asyncio.create_task(engine.predict([document]))
        continued = asyncio.create_task(engine.predict([document]))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert (await continued)[0].sentences[0].prediction.names[0].kind == "ORG"
        with pytest.raises(asyncio.CancelledError):
            await cancelled


async def test_a_closed_engine_refuses_requests(tiny_bundle: Path) -> None:
    """The engine was closed by leaving its context."""
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        pass
    with pytest.raises(RiskwireError, match="not running"):
        await engine.predict([TextDocument("Acme")])


async def test_every_name_is_found_in_a_sentence_longer_than_the_model(tiny_bundle: Path) -> None:
    """One sentence of 160 words is read in windows of at most 32 tokens; all 60 names are found, in order."""
    text = " ".join(["Acme Corp and Jane Doe of Ireland said"] * 20)
    (prediction,) = await predict(tiny_bundle, [TextDocument(text)])
    (sentence,) = prediction.sentences
    names = [(text[name.start : name.end], name.kind) for name in sentence.prediction.names]
    assert names == [("Acme Corp", "ORG"), ("Jane Doe", "PER"), ("Ireland", "LOC")] * 20


async def test_sentences_beyond_the_limit_are_counted_as_skipped(tiny_bundle: Path) -> None:
    """With `max_sentences=4`, the other six of ten sentences are not predicted."""
    text = "\n\n".join(f"Acme Corp loss number {number}." for number in range(10))
    (prediction,) = await predict(tiny_bundle, [TextDocument(text)], max_sentences=4)
    assert (len(prediction.sentences), prediction.skipped) == (4, 6)


def test_batches_contain_each_window_once_with_one_padded_length_within_the_budget() -> None:
    """`pack(lengths, token_budget, workers)` packs windows of tokens; here the budget is 512 padded tokens.

    A length is padded to a multiple of `PADDING_STEP`. Only a batch of one window may exceed the budget.
    """
    lengths = [3, 16, 17, 40, 128, 2, 31, 32, 33] * 30
    batches = pack(lengths, 512, 2)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(lengths)))
    for batch in batches:
        assert {padded_length(lengths[row]) for row in batch.rows} == {batch.length}
        assert batch.length % PADDING_STEP == 0
        assert len(batch.rows) == 1 or len(batch.rows) * batch.length <= 512


async def test_an_urgent_request_goes_ahead_of_waiting_sentences(tiny_bundle: Path) -> None:
    """A thousand sentences are waiting when the urgent request comes, and it finishes first."""
    finished: list[str] = []
    async with Engine(Bundle.load(tiny_bundle), InferenceSettings(threads=1)) as engine:

        async def request(name: str, documents: list[TextDocument], *, urgent: bool) -> None:
            """Asks for predictions, and notes the name of the request when it has them."""
            await engine.predict(documents, urgent=urgent)
            finished.append(name)

        async with asyncio.TaskGroup() as group:
            backlog = [TextDocument(f"Acme Corp said {number} of {number * 7}") for number in range(1_000)]
            group.create_task(request("backlog", backlog, urgent=False))
            await asyncio.sleep(0)
            group.create_task(request("urgent", [TextDocument("Globex wins")], urgent=True))
    assert finished == ["urgent", "backlog"]
