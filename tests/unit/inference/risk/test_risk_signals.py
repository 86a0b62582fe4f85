"""What analyses and signals say of level and event types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.analysis import TargetSentiment, summarise, target_sentiments
from riskwire.inference.linking import Linker
from riskwire.inference.model.prediction import DocumentPrediction, PredictedSentence
from riskwire.inference.model.risk_heads import TokenEvents, TokenLevels
from riskwire.inference.record_writer import write_analysis, write_signals
from riskwire.records import Analysis, Article, EventScore, Signal

LOGITS = {"neutral": [9, 0, 0, 0], "mild": [0, 9, 0, 0], "material": [0, 0, 9, 0], "favourable": [0, 0, 0, 9]}
Risks = dict[str, tuple[str, str]]


def article() -> Article:
    return Article.model_validate(
        {
            "id": "a1",
            "version": 1,
            "url": "u",
            "source": "wire",
            "title": "t",
            "language": "en",
            "published_at": "2026-01-05T10:00:00Z",
            "seen_at": "2026-01-05T10:00:07Z",
        }
    )


def with_risk(
    prediction: DocumentPrediction, risks_by_sentence: Sequence[Risks], of_no_party: Sequence[str] = ()
) -> DocumentPrediction:
    """Returns a prediction with levels and event types.

    Args:
        risks_by_sentence: for each sentence, the level and the event type (or "") of names in it.
        of_no_party: for each sentence, the event type that belongs to no party, or "".
    """
    sentences = []
    for index, sentence in enumerate(prediction.sentences):
        text = prediction.document.content[sentence.start : sentence.end]
        risks = risks_by_sentence[index]
        offsets = [(text.index(name), text.index(name) + len(name)) for name in risks]
        codes = tuple(dict.fromkeys(code for _, code in risks.values() if code))
        logits = [[4.0 if code == event else -9.0 for code in codes] for _, event in risks.values()]
        code_of_no_party = of_no_party[index] if of_no_party else ""
        level_logits = np.array([LOGITS[level] for level, _ in risks.values()], dtype=np.float32)
        risk = replace(
            sentence.prediction,
            offsets=np.array(offsets, dtype=np.int32).reshape(-1, 2),
            levels=TokenLevels(level_logits.reshape(-1, 4), temperature=1.0),
            events=TokenEvents(
                labels=codes,
                logits=np.array(logits, dtype=np.float32).reshape(len(risks), len(codes)),
                temperature=1.0,
                threshold=0.5,
                of_no_party=(EventScore(label=code_of_no_party, score=0.7),) if code_of_no_party else (),
            ),
        )
        sentences.append(PredictedSentence(sentence.span, risk))
    return DocumentPrediction(prediction.document, tuple(sentences))


@pytest.fixture
def targets_of(marked: Callable[..., DocumentPrediction]) -> Callable[..., dict[str, TargetSentiment]]:
    """Returns a function that gives the targets of an article, by target."""

    def targets(
        lines: Sequence[str],
        risks_by_sentence: Sequence[Risks],
        watched: Sequence[dict[str, Any]] = (),
        of_no_party: Sequence[str] = (),
        sentiments: Sequence[tuple[float, float, float]] = (),
    ) -> dict[str, TargetSentiment]:
        prediction = with_risk(marked(*lines, sentiments=sentiments), risks_by_sentence, of_no_party)
        linker = Linker(Watchlist(tuple(WatchedEntity.model_validate(entry) for entry in watched)))
        (summary,) = summarise([prediction], (), 0.5)
        signals = target_sentiments(prediction, linker.link(prediction), summary, watched_only=bool(watched))
        return {signal.target: signal for signal in signals}

    return targets


def shown(signal: TargetSentiment) -> tuple[str | None, list[str]]:
    """Returns the level that is shown of a signal, and its event types."""
    return signal.level.label(None) if signal.level else None, [event.label for event in signal.events or ()]


ACME = {"id": "acme", "name": "Acme Corp", "group": "makers"}
GLOBEX = {"id": "globex", "name": "Globex Inc", "group": "makers"}


def test_a_signal_has_level_events_and_evidence_of_the_worst_mention(
    targets_of: Callable[..., dict[str, TargetSentiment]],
) -> None:
    """The title is good news with the clearest sentiment; the last sentence names a recall."""
    signals = targets_of(
        ["[ORG Acme Corp] wins an order", "[ORG Acme Corp] was founded in Ohio.", "[ORG Acme Corp] recalls cars."],
        [
            {"Acme Corp": ("favourable", "contract")},
            {"Acme Corp": ("neutral", "")},
            {"Acme Corp": ("material", "recall")},
        ],
        sentiments=[(0.0, 0.1, 0.9), (0.0, 1.0, 0.0), (0.4, 0.6, 0.0)],
        watched=[ACME],
    )
    acme = signals["entity:acme"]
    assert shown(acme) == ("material", ["recall"])
    assert (acme.evidence.text, acme.evidence.start, acme.evidence.end) == ("Acme Corp recalls cars.", 0, 9)
    assert acme.sentiment[2] == max(acme.sentiment)
    assert signals["market"].evidence.text == "Acme Corp recalls cars."


def test_the_agent_of_bad_news_is_not_the_party_of_it(targets_of: Callable[..., dict[str, TargetSentiment]]) -> None:
    signals = targets_of(
        ["[ORG Moody's] cuts [LOC Greece] to junk"],
        [{"Moody's": ("neutral", ""), "Greece": ("material", "credit_downgrade")}],
    )
    (greece,) = (signal for target, signal in signals.items() if "greece" in target)
    (agency,) = (signal for target, signal in signals.items() if target not in {greece.target, "market"})
    assert shown(greece) == ("material", ["credit_downgrade"])
    assert shown(agency) == ("neutral", [])
    assert shown(signals["market"]) == ("material", ["credit_downgrade"])


def test_a_group_has_the_level_of_its_worst_member(targets_of: Callable[..., dict[str, TargetSentiment]]) -> None:
    """The sentiment is worse for the other member; the level decides, and all fields are of one member."""
    signals = targets_of(
        ["[ORG Acme Corp] falls", "[ORG Globex Inc] is charged with fraud."],
        [{"Acme Corp": ("neutral", "price_fall")}, {"Globex Inc": ("material", "crime")}],
        watched=[ACME, GLOBEX],
        sentiments=[(0.9, 0.1, 0.0), (0.2, 0.8, 0.0)],
    )
    group, globex = signals["group:makers"], signals["entity:globex"]
    assert shown(group) == ("material", ["crime"])
    assert (group.name, group.groups) == ("makers", ("makers",))
    assert (group.sentiment, group.relevance, group.evidence) == (globex.sentiment, globex.relevance, globex.evidence)


def test_events_of_no_party_are_those_of_the_market(
    targets_of: Callable[..., dict[str, TargetSentiment]],
) -> None:
    signals = targets_of(
        ["Recession fears grip factories", "[ORG Acme Corp] opens a plant."],
        [{}, {"Acme Corp": ("neutral", "")}],
        of_no_party=["macro_stress", ""],
        watched=[ACME],
    )
    assert shown(signals["market"]) == ("neutral", ["macro_stress"])
    assert shown(signals["entity:acme"]) == ("neutral", [])
    alone = targets_of(["Recession fears grip factories"], [{}], of_no_party=["macro_stress"])
    assert shown(alone["market"]) == (None, ["macro_stress"])


def test_analysis_and_signals_have_the_bytes_of_their_records(marked: Callable[..., DocumentPrediction]) -> None:
    """Records are written from plain fields: a field that is missing, wrong or out of order would change the bytes."""
    lines = ["[ORG Acme Corp] recalls cars as crisis grows", "[ORG Globex Inc] wins."]
    prediction = with_risk(
        marked(*lines),
        [{"Acme Corp": ("material", "recall")}, {"Globex Inc": ("favourable", "")}],
        of_no_party=["macro_stress", ""],
    )
    linker = Linker(Watchlist((WatchedEntity.model_validate(ACME),)))
    mentions = linker.link(prediction)
    (summary,) = summarise([prediction], (), 0.5)
    targets = target_sentiments(prediction, mentions, summary, watched_only=True, adverse_from=0.4)
    raw = write_analysis(article(), prediction, mentions, summary, "tiny@1", "5f", None, 0.4).value
    analysis = Analysis.model_validate_json(raw)
    assert analysis.to_bytes() == raw
    assert analysis.model_fields_set == set(Analysis.model_fields)
    assert analysis.adverse_from == 0.4
    assert [mention.level.label(0.4) if mention.level else None for mention in analysis.mentions] == [
        "material",
        "favourable",
    ]
    assert [mention.adverse for mention in analysis.mentions] == [
        mention.level.adverse if mention.level else None for mention in analysis.mentions
    ]
    assert [[event.label for event in sentence.events or ()] for sentence in analysis.sentences] == [
        ["macro_stress"],
        [],
    ]
    for outgoing in write_signals(article(), targets, "tiny@1", "5f", 0.4):
        signal = Signal.model_validate_json(outgoing.value)
        assert signal.to_bytes() == outgoing.value
        assert signal.model_fields_set == set(Signal.model_fields)
        assert signal.level is not None
        assert (signal.adverse, signal.adverse_from) == (signal.level.adverse, 0.4)
        assert [event.label for event in signal.events or ()][:1] == ["recall"]


@pytest.mark.parametrize(
    ("levels", "confirmed"),
    [
        (("material", "mild", "neutral"), True),
        (("material", "neutral", "material"), False),
        (("neutral", "material", "material"), False),
    ],
    ids=["title and lead", "title and a later sentence", "no title"],
)
def test_a_signal_is_confirmed_if_title_and_lead_are_adverse(
    targets_of: Callable[..., dict[str, TargetSentiment]], levels: tuple[str, ...], confirmed: bool
) -> None:
    signals = targets_of(
        ["[ORG Acme Corp] in trouble", "[ORG Acme Corp] may default.", "[ORG Acme Corp] is old."],
        [{"Acme Corp": (level, "default")} for level in levels],
    )
    (entity,) = [signal for target, signal in signals.items() if target.startswith("entity:")]
    assert entity.confirmed is confirmed


def test_a_signal_also_has_the_reading_of_the_title_if_the_text_is_worse(
    targets_of: Callable[..., dict[str, TargetSentiment]],
) -> None:
    """The record has it too. Without a worse sentence in the text, the signal itself is the reading of the title."""
    signals = targets_of(
        ["[ORG Acme Corp] wins an order from [ORG Globex Inc]", "[ORG Acme Corp] may default."],
        [
            {"Acme Corp": ("favourable", "contract"), "Globex Inc": ("neutral", "")},
            {"Acme Corp": ("material", "default")},
        ],
        watched=[ACME, GLOBEX],
    )
    acme, globex = signals["entity:acme"], signals["entity:globex"]
    assert acme.in_title
    assert acme.title_reading is not None
    assert acme.title_reading.level.label(None) == "favourable"
    assert [event.label for event in acme.title_reading.events or ()] == ["contract"]
    excerpt = acme.title_reading.evidence
    assert excerpt.text[excerpt.start : excerpt.end] == "Acme Corp"
    assert globex.in_title
    assert globex.title_reading is None
    (outgoing,) = write_signals(article(), [acme], "tiny@1", "5f", 0.4)
    signal = Signal.model_validate_json(outgoing.value)
    in_title = signal.as_in_title()
    assert (signal.level, in_title.level) == (acme.level, acme.title_reading.level)
    assert in_title.evidence.text == "Acme Corp wins an order from Globex Inc"
    assert in_title.as_in_title() is in_title


def test_a_party_that_only_comments_in_the_title_is_judged_by_the_text(
    targets_of: Callable[..., dict[str, TargetSentiment]],
) -> None:
    """What the title says is of Globex. The signal is not of the title, so that a rule asks for more of its text."""
    signals = targets_of(
        ["[ORG Acme Corp] downgrades [ORG Globex Inc] to sell", "[ORG Acme Corp] was charged with fraud."],
        [
            {"Acme Corp": ("mild", ""), "Globex Inc": ("mild", "broker_downgrade")},
            {"Acme Corp": ("material", "crime")},
        ],
        watched=[ACME, GLOBEX],
    )
    acme = signals["entity:acme"]
    assert (acme.in_title, acme.title_reading) == (False, None)
    assert acme.evidence.text == "Acme Corp was charged with fraud."
    assert signals["entity:globex"].in_title


def test_a_signal_says_whether_the_title_names_the_party(
    targets_of: Callable[..., dict[str, TargetSentiment]],
) -> None:
    signals = targets_of(
        ["[ORG Globex Inc] sues rival", "[ORG Acme Corp] did not comment."],
        [{"Globex Inc": ("neutral", "")}, {"Acme Corp": ("material", "litigation")}],
        watched=[ACME, GLOBEX],
    )
    assert signals["entity:globex"].in_title
    assert not signals["entity:acme"].in_title
    assert signals["entity:acme"].title_reading is None
