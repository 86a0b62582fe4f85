"""Levels and event types come from the same run of the model as everything else, with the same bits in any batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from riskwire.bus import Message
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.inference.model.session import ModelSession
from riskwire.inference.score import score
from riskwire.inference.stage import InferStage
from riskwire.pipeline import Topic
from riskwire.records import (
    SIGNALS,
    Analysis,
    Article,
    ScoreMention,
    ScoreRequest,
    ScoreResult,
    ScoreTarget,
    Signal,
)
from riskwire.settings import InferenceSettings, Settings

TEXTS = [
    "Acme Corp plunges",
    "Globex wins record upgrade",
    "Fraud at Acme Corp of Ireland",
    "General Motors profit rises after the crisis",
    "Jane Doe said it is a record loss for the group in Dublin",
    "Bankruptcy and collapse",
    " ".join(["Acme Corp and Jane Doe of Ireland said fraud"] * 10),
]
REQUEST: dict[str, Any] = {
    "id": 1,
    "text": "Acme Corp recall after fraud. Globex Inc wins. The crisis is in Ireland.",
    "targets": [{"start": 0, "end": 9}, {"start": 30, "end": 40}, {"start": 0, "end": 40}, {"start": 29, "end": 30}],
}


def bits(prediction: DocumentPrediction) -> list[tuple[object, ...]]:
    """Returns levels and event types of a prediction, to the last bit."""
    predictions = [sentence.prediction for sentence in prediction.sentences]
    return [
        (levels.logits.tobytes(), events.labels, events.logits.tobytes(), events.of_no_party)
        for sentence in predictions
        if (levels := sentence.levels) is not None and (events := sentence.events) is not None
    ]


async def predict(bundle: Path, documents: Sequence[TextDocument], **settings: object) -> list[DocumentPrediction]:
    async with Engine(Bundle.load(bundle), InferenceSettings.model_validate(settings)) as engine:
        return await engine.predict(documents)


async def scored(bundle: Path, **fields: Any) -> ScoreResult:
    """Returns the result for `REQUEST`, of which `fields` are changed."""
    async with Engine(Bundle.load(bundle)) as engine:
        (result,) = await score([ScoreRequest.model_validate(REQUEST | fields)], engine, Linker())
    return result


@pytest.mark.parametrize("precision", ["int8", "fp16"])
async def test_levels_and_events_have_the_same_bits_in_any_batch(tiny_bundle: Path, precision: str) -> None:
    """The int8 model rounds by a scale over its whole input, so a row would change with its neighbours."""

    async def predicted(documents: Sequence[TextDocument], **settings: object) -> list[list[tuple[object, ...]]]:
        predictions = await predict(tiny_bundle, documents, precision=precision, cache=0, **settings)
        return [bits(prediction) for prediction in predictions]

    documents = [TextDocument(text) for text in TEXTS]
    together = await predicted(documents)
    assert all(together)
    assert together == (await predicted(documents[::-1]))[::-1]
    assert together == [(await predicted([document], threads=1))[0] for document in documents]


async def test_one_run_of_the_model_gives_everything(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of one sentence is scored with its mentions and three targets; the same sentence again needs no run."""
    runs = []
    run = ModelSession.run

    def counted(session: ModelSession, ids: Any, mask: Any) -> Any:
        runs.append(ids.shape)
        return run(session, ids, mask)

    monkeypatch.setattr(ModelSession, "run", counted)
    text = "Acme Corp recall after fraud"
    targets = [{"start": 0, "end": 4}, {"start": 5, "end": 9}, {"start": 23, "end": 28}]
    request = ScoreRequest.model_validate({"id": 1, "text": text, "targets": targets})
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        (first,) = await score([request], engine, Linker())
        assert len(runs) == 1
        (again,) = await score([request], engine, Linker())
        reversed_request = request.model_copy(update={"targets": request.targets[::-1] if request.targets else ()})
        (reversed_targets,) = await score([reversed_request], engine, Linker())
    assert len(runs) == 1
    assert again == first
    assert reversed_targets.targets == first.targets[::-1]


def read(item: ScoreMention | ScoreTarget) -> tuple[str, list[str]]:
    """Returns the level that is shown of a mention or target, and its event types; checks `adverse`."""
    assert item.level is not None
    assert item.adverse == item.level.adverse
    assert item.events is not None
    return item.level.label(None), sorted(event.label for event in item.events)


async def test_score_has_level_and_events_of_mentions_targets_and_sentences(tiny_bundle: Path) -> None:
    """The third target covers two sentences; the fourth is the space between them."""
    result = await scored(tiny_bundle)
    assert {mention.text: read(mention) for mention in result.mentions} == {
        "Acme Corp": ("material", ["crime", "recall"]),
        "Globex Inc": ("favourable", []),
        "Ireland": ("material", []),
    }
    first, second, both, space = result.targets
    assert read(first) == ("material", ["crime", "recall"])
    assert read(second) == ("favourable", [])
    assert read(both)[1] == ["crime", "recall"]
    assert both.level is not None
    assert first.level is not None
    assert 0.3 < both.level.material < first.level.material
    assert read(space) == ("neutral", [])
    assert [[event.label for event in sentence.events or ()] for sentence in result.sentences] == [
        [],
        [],
        ["macro_stress"],
    ]


async def test_a_bundle_of_version_0_1_gives_sentiment_alone(four_head_bundle: Path, tiny_bundle: Path) -> None:
    old, new = await scored(four_head_bundle), await scored(tiny_bundle)
    for item in (*old.mentions, *old.targets):
        assert (item.level, item.adverse, item.events) == (None, None, None)
    assert [sentence.events for sentence in old.sentences] == [None] * 3
    unknown = {"level": None, "adverse": None, "events": None}
    assert old.mentions == tuple(mention.model_copy(update=unknown) for mention in new.mentions)


async def test_the_threshold_of_the_bundle_decides_in_the_stage(tiny_bundle: Path) -> None:
    """The bundle counts a mention as adverse from 0.45. The second sentence has 0.47, the title is favourable."""
    article = Article.model_validate(
        {
            "id": "a1",
            "version": 1,
            "url": "u",
            "source": "wire",
            "title": "Acme Corp wins record growth",
            "text": "Acme Corp wins and cuts.",
            "language": "en",
            "published_at": "2026-01-05T10:00:00Z",
            "seen_at": "2026-01-05T10:00:07Z",
        }
    )
    async with Engine(Bundle.load(tiny_bundle)) as engine:
        stage = InferStage(engine, Linker(), Settings(), signal_partitions=1)
        message = Message(Topic.ARTICLES, 0, 0, article.id, article.to_bytes())
        results = (await stage.open(0, {}).process([message])).results
    (analysis,) = (
        Analysis.model_validate_json(outgoing.value) for outgoing in results if outgoing.topic == Topic.ANALYSES
    )
    assert analysis.adverse_from == 0.45
    records = [SIGNALS.validate_json(outgoing.value) for outgoing in results if outgoing.topic == Topic.SIGNALS]
    signals = [record for record in records if isinstance(record, Signal)]
    assert len(signals) >= 2
    for signal in signals:
        assert signal.level is not None
        assert 0.45 <= signal.level.adverse < 0.5
        assert signal.adverse_from == 0.45
        assert signal.evidence.text == "Acme Corp wins and cuts."


async def test_a_text_without_a_word_has_neutral_targets(tiny_bundle: Path) -> None:
    result = await scored(tiny_bundle, text=" \n ", targets=[{"start": 0, "end": 1}])
    assert [read(target) for target in result.targets] == [("neutral", [])]
