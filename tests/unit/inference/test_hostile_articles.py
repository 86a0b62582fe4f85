"""The cost of an article that was written to be slow follows its length, and other tasks get turns meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import cycle, islice, product
from pathlib import Path
from string import ascii_uppercase

import numpy as np
import pytest
from event_loop_turns import count_other_turns

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

PAIRS = [first + second for first, second in product(ascii_uppercase, repeat=2)]


def tickered_names(count: int) -> str:
    """Returns names of two letters with a ticker, which makes them organisations. Each may be initials of another."""
    return "".join(f"{name}(A.N) " for name in islice(cycle(PAIRS), count))


def prediction(text: str, names: list[tuple[int, int]] | None = None) -> DocumentPrediction:
    """Returns a prediction without names, or with persons at these offsets of the text (start, end)."""
    document = TextDocument(text)
    nameless = SentencePrediction((0.0, 1.0, 0.0), (), (), np.zeros((0, 2), np.int32), None)
    sentences = []
    for span in document.sentence_spans():
        persons = tuple(
            NamedSpan(start - span.start, end - span.start, "PER")
            for start, end in names or ()
            if span.start <= start < span.end
        )
        sentences.append(PredictedSentence(span, replace(nameless, names=persons)))
    return DocumentPrediction(document, tuple(sentences))


def messages(count: int, text: str) -> list[Message]:
    """Returns records of articles that differ only in their ids."""
    articles = [
        Article.model_validate(
            {
                "id": str(number),
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
        for number in range(count)
    ]
    return [Message("articles", 0, offset, None, article.to_bytes()) for offset, article in enumerate(articles)]


@pytest.fixture
async def stage(tiny_bundle: Path) -> AsyncIterator[InferStage]:
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        yield InferStage(engine, Linker(), Settings(), signal_partitions=1)


def counted(function: Callable[..., bool], calls: list[object]) -> Callable[..., bool]:
    """Returns a function that does the same, and appends an entry to `calls` each time that it is called."""

    def call(*args: object) -> bool:
        calls.append(None)
        return function(*args)

    return call


def test_the_number_of_comparisons_does_not_grow_with_the_number_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first `_MAX_COMPARED` names of an article are compared with each other, as short forms of each other.

    An article of 2,500 names takes as many comparisons as one of 5,000.
    """
    comparisons: list[object] = []
    monkeypatch.setattr(linker_module, "_is_short_for", counted(linker_module._is_short_for, comparisons))
    linker = Linker()
    assert len(linker.link(prediction(tickered_names(2_500)))) == 2_500
    first_count = len(comparisons)
    assert 0 < first_count <= linker_module._MAX_COMPARED**2
    linker.link(prediction(tickered_names(5_000)))
    assert len(comparisons) == 2 * first_count


@pytest.mark.parametrize(
    ("names_before", "entity"),
    [pytest.param(0, "name:bob-quux", id="among the first"), pytest.param(400, "name:quux", id="after many others")],
)
def test_a_short_form_is_resolved_only_among_the_first_names_of_an_article(names_before: int, entity: str) -> None:
    """ "Quux" is short for "Bob Quux" in the same article, unless 400 names stand before both.

    Args:
        names_before: the number of names before them.
        entity: the entity of "Quux": that of the full name, or one that has only the short name.
    """
    text = tickered_names(names_before) + "Bob Quux met Quux today, " + tickered_names(400)
    full = text.index("Bob Quux")
    full_end = full + len("Bob Quux")
    short = text.index("Quux", full_end)
    mentions = Linker().link(prediction(text, [(full, full_end), (short, short + len("Quux"))]))
    assert [mention.entity for mention in mentions if mention.text == "Quux"] == [entity]


async def test_other_tasks_get_turns_while_a_long_article_is_linked(stage: InferStage) -> None:
    """A long article is linked in a thread. On the event loop, other tasks would get two turns: before and after it."""
    assert await count_other_turns(stage, messages(1, tickered_names(8_000))) >= 10


async def test_other_tasks_get_turns_between_short_articles_that_take_long(
    stage: InferStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten short articles form one slice of work. As each takes longer than the limit of a slice (0 s here), the stage
    lets other tasks run after each.
    """
    monkeypatch.setattr(stage_module, "_MAX_SLICE_S", 0.0)
    assert await count_other_turns(stage, messages(10, tickered_names(50))) >= 10
