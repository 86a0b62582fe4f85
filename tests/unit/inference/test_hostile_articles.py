"""An article that was written to be slow to read costs what its length costs, and others have their turn meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import cycle, islice, product
from pathlib import Path
from string import ascii_uppercase

import numpy as np
import pytest
from turns import turns_of_others

from riskwire.bus import Message
from riskwire.inference import stage as stage_module
from riskwire.inference.linking import Linker
from riskwire.inference.linking import linker as linker_module
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.named_spans import NamedSpan
from riskwire.inference.model.prediction import DocumentPrediction, PredictedSentence, SentencePrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.inference.stage import InferStage
from riskwire.records import Article
from riskwire.settings import Settings

PAIRS = [a + b for a, b in product(ascii_uppercase, repeat=2)]


def names(count: int) -> str:
    """So many names of two letters, each with a ticker that makes it an organisation: each may be initials of each."""
    return "".join(f"{name}(A.N) " for name in islice(cycle(PAIRS), count))


def reading(text: str) -> DocumentPrediction:
    """A model that sees no names; what there is comes of the tickers."""
    document = TextDocument(text)
    sentence = SentencePrediction((0.0, 1.0, 0.0), (), (), np.zeros((0, 2), np.int32), None)
    return DocumentPrediction(
        document, tuple(PredictedSentence(place, sentence) for place in document.sentence_spans())
    )


def messages(count: int, text: str) -> list[Message]:
    records = [
        Article.model_validate(
            {
                "id": str(at),
                "version": 1,
                "url": "u",
                "source": "wire",
                "title": "Acme Corp falls",
                "text": text,
                "language": "en",
                "published_at": "2026-01-05T10:00:00Z",
                "seen_at": "2026-01-05T10:00:00Z",
            }
        )
        for at in range(count)
    ]
    return [Message("articles", 0, at, None, one.to_bytes()) for at, one in enumerate(records)]


@pytest.fixture
async def stage(tiny_bundle: Path) -> AsyncIterator[InferStage]:
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        yield InferStage(engine, Linker(), Settings(), signal_partitions=1)


def test_thousands_of_names_are_compared_no_more_often_than_hundreds(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    is_short_for = linker_module._is_short_for

    def counted(*args: object) -> bool:
        nonlocal compared
        compared += 1
        return is_short_for(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(linker_module, "_is_short_for", counted)
    linker = Linker()
    assert len(linker.link(reading(names(2_500)))) == 2_500
    few = compared
    assert 0 < few <= linker_module._MAX_COMPARED**2
    linker.link(reading(names(5_000)))
    assert compared == 2 * few


@pytest.mark.parametrize(("before", "entity"), [(0, "name:bob-quux"), (400, "name:quux")])
def test_a_name_is_short_for_a_fuller_one_among_the_first_of_an_article_only(before: int, entity: str) -> None:
    text = names(before) + "Bob Quux met Quux today, " + names(400)
    found = reading(text)
    bob = text.index("Bob Quux")
    last = text.index("Quux", bob + len("Bob Quux"))
    spans = [(bob, bob + len("Bob Quux")), (last, last + len("Quux"))]
    sentences = tuple(
        PredictedSentence(
            one.span,
            SentencePrediction(
                one.prediction.sentiment,
                (),
                tuple(
                    NamedSpan(start - one.start, end - one.start, "PER")
                    for start, end in spans
                    if one.start <= start < one.end
                ),
                one.prediction.offsets,
                None,
            ),
        )
        for one in found.sentences
    )
    mentions = Linker().link(DocumentPrediction(found.document, sentences))
    assert [one.entity for one in mentions if one.text == "Quux"] == [entity]


async def test_others_have_their_turn_while_one_long_article_is_read(stage: InferStage) -> None:
    """On the event loop it would be one turn before and one after it."""
    assert await turns_of_others(stage, messages(1, names(8_000))) >= 10


async def test_others_have_their_turn_between_short_articles_that_take_long(
    stage: InferStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten of them are one slice; each takes longer than a turn."""
    monkeypatch.setattr(stage_module, "_MAX_SLICE_S", 0.0)
    assert await turns_of_others(stage, messages(10, names(50))) >= 10
