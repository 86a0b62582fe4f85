"""The load of the benchmarks on Kafka: invented news, a model without cost, and records prepared in advance."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from riskwire.bus import Message, Outgoing
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.named_spans import NamedSpan
from riskwire.inference.model.prediction import DocumentPrediction, PredictedSentence, SentencePrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.inference.stage import InferStage
from riskwire.pipeline import StageSpec, Topic
from riskwire.records import Article, content_id
from riskwire.settings import Settings
from riskwire.stage import Step

COMPANIES = 500
ARTICLES_AN_HOUR = 2_000
_START = datetime(2026, 3, 2, 6, tzinfo=UTC)
_FIRST = ("Vel", "Os", "Tir", "Quil", "Nor", "Hal", "Pel", "Lum", "Bright", "Arc", "Dom", "Cast", "Mer", "Kal", "Zor")
_SECOND = ("dara", "mark", "ell", "lon", "wick", "brecht", "orum", "enor", "fen", "tessa", "rik")
_TRADE = ("Chemicals", "Bank", "Motors", "Software", "Shipping", "Energy", "Pharma", "Steel")
_SYLLABLES = ("ba", "cor", "del", "fin", "gar", "hol", "jun", "kes", "lim", "mor", "nat", "pol", "qua", "ros", "sto")
_WORDS = tuple(f"{a}{b}{c}" for a in _SYLLABLES for b in _SYLLABLES for c in _SYLLABLES)


def companies() -> list[str]:
    """Returns the names of `COMPANIES` invented companies, the same on each call."""
    rng = random.Random(1)
    names = [f"{a}{b} {c}" for a in _FIRST for b in _SECOND for c in _TRADE]
    return rng.sample(names, COMPANIES)


def articles(count: int) -> list[Article]:
    """Returns articles of a title and two sentences, each a new story, at a busy day's rate; the same on each call."""
    rng = random.Random(2)
    names = companies()
    news = []
    for number in range(count):
        name = rng.choice(names)
        words = [" ".join(rng.choices(_WORDS, k=k)) for k in (6, 18, 18)]
        seen = _START + timedelta(seconds=3600 / ARTICLES_AN_HOUR * number)
        news.append(
            Article(
                id=content_id("bench", str(number)),
                version=1,
                url=f"https://news.example/2026/03/{content_id(str(number))[:12]}",
                source=f"source-{number % 40}",
                title=f"{name} {words[0]}",
                text=f"{name} said on Monday that {words[1]}. It added that {words[2]}.",
                language="en",
                published_at=seen,
                seen_at=seen,
            )
        )
    return news


class NoCost:
    """An engine with predictions prepared in advance: one company in the title, one topic."""

    def __init__(self, bundle: Bundle, news: Sequence[Article]) -> None:
        """Prepares a prediction for each article. Every sentence of one in ten is negative, and the others are neutral.

        The title of an article names an organisation, its first two words, and all its sentences have one topic.
        """
        self.bundle = bundle
        topics = bundle.manifest.heads.topics
        assert topics is not None
        self._predictions: dict[str, DocumentPrediction] = {}
        for number, article in enumerate(news):
            document = TextDocument.of_article(article.title, article.text)
            sentiment = (0.9, 0.08, 0.02) if number % 10 == 0 else (0.1, 0.6, 0.3)
            shares = [0.0] * len(topics.labels)
            shares[number % len(shares)] = 1.0
            name = NamedSpan(0, len(" ".join(article.title.split()[:2])), "ORG")
            self._predictions[document.content] = DocumentPrediction(
                document,
                tuple(
                    PredictedSentence(
                        place,
                        SentencePrediction(
                            sentiment,
                            tuple(shares),
                            (name,) if place.is_title else (),
                            np.zeros((0, 2), np.int32),
                            None,
                        ),
                    )
                    for place in document.sentence_spans()
                ),
            )

    async def predict(self, documents: Sequence[TextDocument]) -> list[DocumentPrediction]:
        """Returns the prepared predictions; fails for a text that was not prepared."""
        return [self._predictions[document.content] for document in documents]


def infer_stage(engine: object, signal_partitions: int, group: str) -> InferStage:
    """Returns the real infer stage under another group name, so that it reads `articles` from the beginning.

    Args:
        engine: the model, or `NoCost`.
        signal_partitions: the number of partitions of `signals`.
    """
    stage = InferStage(engine, Linker(), Settings(), signal_partitions=signal_partitions)  # type: ignore[arg-type]
    stage.spec = replace(stage.spec, name=group)
    return stage


class ReadyStage:
    """A stage that looks up the prepared results and state of each article; it writes marks as infer does."""

    def __init__(self, name: str, ready: Mapping[str | None, tuple[list[Outgoing], dict[str, bytes | None]]]) -> None:
        """Creates a stage and group of a name. `ready` holds results and state changes, by the article's key."""
        self.spec = StageSpec(
            name, reads=Topic.ARTICLES, writes=(Topic.ANALYSES, Topic.SIGNALS), service=name, room="stage"
        )
        self._ready = ready

    def open(self, partition: int, state: Mapping[str, bytes]) -> ReadyStage:
        """Returns the same task for every partition."""
        return self

    async def process(self, batch: Sequence[Message]) -> Step:
        """Returns the prepared results and changes of the state of all messages, found by their keys."""
        step = Step()
        for message in batch:
            results, state = self._ready[message.key]
            step.results += results
            step.state |= state
        return step


async def prepared_results(
    news: Sequence[Article], engine: NoCost, partitions: int, batch: int
) -> dict[str | None, tuple[list[Outgoing], dict[str, bytes | None]]]:
    """Returns what the real stage writes for each article, by key: its results, and the changes of the state.

    What it writes once a batch (marks, state) is added to the batch's last article.

    Args:
        partitions: the number of partitions of `signals`; all articles count as read from partition 0 of `articles`.
    """
    task = infer_stage(engine, partitions, "ready").open(0, {})
    ready: dict[str | None, tuple[list[Outgoing], dict[str, bytes | None]]] = {}
    for start in range(0, len(news), batch):
        articles_of_batch = news[start : start + batch]
        step = await task.process(
            [
                Message(Topic.ARTICLES, 0, start + at, article.id, article.to_bytes())
                for at, article in enumerate(articles_of_batch)
            ]
        )
        by_article: dict[str, list[Outgoing]] = {}
        at = -1
        for result in step.results:  # the analysis of each article comes before its signals
            at += result.topic == Topic.ANALYSES
            by_article.setdefault(articles_of_batch[at].id, []).append(result)
        changes = dict(step.state)
        last = articles_of_batch[-1].id
        for article in articles_of_batch:
            ready[article.id] = (by_article[article.id], {})
        ready[last] = (by_article[last], changes)
    return ready
