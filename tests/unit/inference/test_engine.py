"""The engine: what a sentence gets depends on nothing but the sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from riskwire.errors import RiskwireError
from riskwire.inference.model.batches import PADDING_STEP, pack, padded_length
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.settings import InferenceSettings

TEXTS = [
    "Acme Corp plunges",
    "Globex wins",
    "Fraud at Acme Corp of Ireland",
    "General Motors profit rises after the crisis",
    "Jane Doe said it is a record loss for the group in Dublin",
    "Bankruptcy",
]


def told(reading: DocumentPrediction) -> list[tuple[object, ...]]:
    """Everything a reading says, to the last bit."""
    return [
        (
            one.start,
            one.end,
            one.prediction.sentiment,
            one.prediction.topics,
            one.prediction.names,
            None if one.prediction.target_logits is None else one.prediction.target_logits.tobytes(),
        )
        for one in reading.sentences
    ]


async def read(bundle: Path, documents: list[TextDocument], **settings: object) -> list[DocumentPrediction]:
    async with Engine(Bundle.load(bundle), InferenceSettings(**settings)) as engine:
        return await engine.predict(documents)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
async def test_a_sentence_gets_the_same_bits_whatever_stands_beside_it(tiny_bundle: Path, precision: str) -> None:
    documents = [TextDocument(text) for text in TEXTS]
    together = [told(one) for one in await read(tiny_bundle, documents, precision=precision, cache=0)]
    backwards = [told(one) for one in await read(tiny_bundle, documents[::-1], precision=precision, cache=0)][::-1]
    alone = [
        told((await read(tiny_bundle, [document], precision=precision, cache=0, threads=1))[0])
        for document in documents
    ]
    assert together == backwards == alone


async def test_the_toy_model_shows_why_rows_of_a_dynamic_model_must_be_read_alone(tiny_bundle: Path) -> None:
    from riskwire.inference.model.session import ModelSession
    from riskwire.inference.model.tokens import TokenEncoder

    bundle = Bundle.load(tiny_bundle)
    session = ModelSession(bundle)
    assert session.rows_alone
    assert not ModelSession(bundle, precision="fp16").rows_alone
    windows = [one.windows[0] for one in TokenEncoder(bundle.tokenizer_path, 32).encode(["fraud", "fraud loss crisis"])]
    ids = np.zeros((2, 16), dtype=np.int64)
    mask = np.zeros((2, 16), dtype=np.int64)
    for at, window in enumerate(windows):
        ids[at, : len(window)], mask[at, : len(window)] = window.ids, 1
    beside = session.run(ids, mask)["sentiment"][0]
    alone = session.run(ids[:1], mask[:1])["sentiment"][0]
    assert beside.tolist() != alone.tolist()


async def test_readings_come_in_the_order_of_the_documents_and_identical_sentences_are_computed_once(
    tiny_bundle: Path,
) -> None:
    from riskwire import metrics

    documents = [TextDocument(TEXTS[at % len(TEXTS)]) for at in range(300)]
    before = metrics.SENTENCES.labels(how="computed")._value.get()
    readings = await read(tiny_bundle, documents, queue=7)
    assert [one.document for one in readings] == documents
    assert metrics.SENTENCES.labels(how="computed")._value.get() - before == len(TEXTS)


async def test_many_requests_at_once_each_get_their_own_answers(tiny_bundle: Path) -> None:
    async with Engine(Bundle.load(tiny_bundle), InferenceSettings(queue=4, token_budget=128)) as engine:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(engine.predict([TextDocument(f"Acme loss {at}"), TextDocument(f"Globex wins {at}")]))
                for at in range(40)
            ]
        for at, task in enumerate(tasks):
            first, second = task.result()
            assert (first.document.content, second.document.content) == (f"Acme loss {at}", f"Globex wins {at}")
            assert first.sentences[0].prediction.sentiment[0] > 0.5
            assert second.sentences[0].prediction.sentiment[2] > 0.5


async def test_a_reader_that_is_cancelled_takes_nothing_from_the_others(tiny_bundle: Path) -> None:
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        document = TextDocument("Acme Corp fraud")
        leaving = asyncio.create_task(engine.predict([document]))
        staying = asyncio.create_task(engine.predict([document]))
        await asyncio.sleep(0)
        leaving.cancel()
        assert (await staying)[0].sentences[0].prediction.names[0].kind == "ORG"
        with pytest.raises(asyncio.CancelledError):
            await leaving


async def test_a_closed_engine_says_so(tiny_bundle: Path) -> None:
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        pass
    with pytest.raises(RiskwireError, match="not running"):
        await engine.predict([TextDocument("Acme")])


async def test_a_sentence_longer_than_the_model_loses_no_name(tiny_bundle: Path) -> None:
    text = " ".join(["Acme Corp and Jane Doe of Ireland said"] * 20)
    (reading,) = await read(tiny_bundle, [TextDocument(text)])
    (sentence,) = reading.sentences
    found = [(text[name.start : name.end], name.kind) for name in sentence.prediction.names]
    assert found == [("Acme Corp", "ORG"), ("Jane Doe", "PER"), ("Ireland", "LOC")] * 20


async def test_sentences_beyond_the_limit_are_counted_not_lost_silently(tiny_bundle: Path) -> None:
    text = "\n\n".join(f"Acme Corp loss number {at}." for at in range(10))
    (reading,) = await read(tiny_bundle, [TextDocument(text)], max_sentences=4)
    assert (len(reading.sentences), reading.skipped) == (4, 6)


def test_batches_hold_every_window_once_at_one_padded_length_within_the_budget() -> None:
    lengths = [3, 16, 17, 40, 128, 2, 31, 32, 33] * 30
    batches = pack(lengths, 512, 2)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(lengths)))
    for batch in batches:
        assert {padded_length(lengths[row]) for row in batch.rows} == {batch.length}
        assert batch.length % PADDING_STEP == 0
        assert len(batch.rows) == 1 or len(batch.rows) * batch.length <= 512


async def test_an_urgent_request_goes_before_what_waits(tiny_bundle: Path) -> None:
    order: list[str] = []
    async with Engine(Bundle.load(tiny_bundle), InferenceSettings(threads=1)) as engine:

        async def read_noting(name: str, documents: list[TextDocument], *, urgent: bool) -> None:
            await engine.predict(documents, urgent=urgent)
            order.append(name)

        async with asyncio.TaskGroup() as group:
            many = [TextDocument(f"Acme Corp said {at} of {at * 7}") for at in range(1_000)]
            group.create_task(read_noting("many", many, urgent=False))
            await asyncio.sleep(0)
            group.create_task(read_noting("one", [TextDocument("Globex wins")], urgent=True))
    assert order == ["one", "many"]
