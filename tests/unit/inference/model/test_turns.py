"""News and requests of people take turns at the model. Sentences that no caller awaits are not computed."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire import metrics
from riskwire.errors import LimitError
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.sentences import TextDocument
from riskwire.inference.model.turns import Turns
from riskwire.settings import InferenceSettings


def turns(news: int, *requests: int) -> Turns:
    """Returns turns with so many sentences of news (`n0`, `n1`, …), and of each request (`0-0`, `0-1`, …)."""
    waiting = Turns()
    for number in range(news):
        waiting.add(f"n{number}", None)
    for request, count in enumerate(requests):
        for number in range(count):
            waiting.add(f"{request}-{number}", request)
    return waiting


def test_news_and_requests_each_get_half() -> None:
    """The share of news depends neither on the number of requests nor on their size."""
    batch = turns(1_000, 5_000, 5_000, 5_000).take(256)
    assert sum(text.startswith("n") for text in batch) == 128
    assert [sum(text.startswith(f"{request}-") for text in batch) for request in range(3)] == [43, 43, 42]


def test_a_small_request_is_taken_at_once_beside_a_large_one_and_news() -> None:
    batch = turns(10_000, 5_000, 2).take(256)
    assert {"1-0", "1-1"} <= set(batch)


@given(news=st.integers(0, 50), requests=st.lists(st.integers(0, 30), max_size=4), count=st.integers(1, 40))
def test_turns_are_never_wasted_and_nothing_is_lost(news: int, requests: list[int], count: int) -> None:
    """A side gets the turns that the other does not need. Sentences of one request keep their order."""
    waiting = turns(news, *requests)
    all_texts: list[str] = []
    while len(waiting):
        before = len(waiting)
        batch = waiting.take(count)
        assert len(batch) == min(count, before)
        all_texts += batch
    for prefix, total in (("n", news), *((f"{index}-", total) for index, total in enumerate(requests))):
        assert [text for text in all_texts if text.startswith(prefix)] == [
            f"{prefix}{number}" for number in range(total)
        ]


def sentences(prefix: str, count: int) -> TextDocument:
    """Returns a document of distinct sentences."""
    return TextDocument("\n\n".join(f"Acme Corp loss {prefix} {number}." for number in range(count)))


async def test_sentences_of_a_cancelled_request_are_not_computed(tiny_bundle: Path) -> None:
    """A request of 3,000 sentences is cancelled; a sentence that it shares with another request is computed."""
    computed: list[str] = []
    async with Engine(Bundle.load(tiny_bundle), InferenceSettings(threads=1)) as engine:
        encoder = engine._readers[0].encoder
        encode = encoder.encode

        def counted(texts: list[str]) -> object:
            computed.extend(texts)
            return encode(texts)

        encoder.encode = counted  # type: ignore[method-assign, assignment]
        abandoned = asyncio.create_task(engine.predict([sentences("a", 3_000)], max_sentences=10_000, urgent=True))
        await engine._arrived.wait()
        shared = asyncio.create_task(engine.predict([TextDocument("Acme Corp loss a 2999.")]))
        await asyncio.sleep(0)
        abandoned.cancel()
        assert len((await shared)[0].sentences) == 1
        assert "Acme Corp loss a 2999." in computed
        with pytest.raises(asyncio.CancelledError):
            await abandoned
        await engine.predict([TextDocument("Globex wins")])
        assert len(engine._waiting) == 0
        assert len(computed) < 1_500
        assert not engine._cache._pending


async def test_an_abandoned_sentence_that_is_asked_for_again_is_answered(tiny_bundle: Path) -> None:
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        document = TextDocument("Acme Corp fraud")
        for _ in range(20):
            first = asyncio.create_task(engine.predict([document], urgent=True))
            await asyncio.sleep(0.002)
            first.cancel()
            async with asyncio.timeout(10):
                assert (await engine.predict([document]))[0].sentences[0].prediction.names[0].kind == "ORG"
            engine._cache._cached.clear()


async def test_a_request_with_too_many_sentences_is_refused_before_the_model_runs(tiny_bundle: Path) -> None:
    """The limit holds for all documents together, also over several slices. No sentence of it stays in the queue."""
    computed = metrics.SENTENCES.labels(result="computed")._value
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        before = computed.get()
        with pytest.raises(LimitError, match="more than 100 sentences"):
            await engine.predict([sentences("b", 101)], max_sentences=1_000, max_in_all=100)
        assert computed.get() == before
        with pytest.raises(LimitError):
            await engine.predict([sentences(f"c{number}", 3) for number in range(40)], max_in_all=100, urgent=True)
        assert len(await engine.predict([sentences("d", 3)], max_in_all=3)) == 1
        async with asyncio.timeout(30):
            for number in itertools.count():  # each turn of the model drops sentences of the refused request
                if not engine._cache._pending:
                    break
                await engine.predict([sentences(f"e{number}", 1)], urgent=True)


async def test_news_goes_on_beside_a_large_request(tiny_bundle: Path) -> None:
    """News that comes after a request of 4,000 sentences is read long before the request is."""
    async with Engine(Bundle.load(tiny_bundle), InferenceSettings(threads=1)) as engine:
        request = asyncio.create_task(engine.predict([sentences("e", 4_000)], max_sentences=10_000, urgent=True))
        await engine._arrived.wait()
        news = await engine.predict([sentences("f", 40)])
        assert len(news[0].sentences) == 40
        assert not request.done()
        await request
