"""Levels and event types of spans follow from the logits of their tokens, and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from riskwire.inference.model.bundle import BundleHead, BundleHeads, EventsHead, LevelHead
from riskwire.inference.model.decoding import decode_sentence
from riskwire.inference.model.prediction import SentencePrediction
from riskwire.inference.model.risk_heads import TokenEvents
from riskwire.inference.model.tokens import TokenizedSentence, TokenWindow
from riskwire.records import EVENT_TYPES, MAX_EVENTS

SENTIMENTS = ("negative", "neutral", "positive")
TAGS = ("O", "B-ORG", "I-ORG")
CALM = np.full(len(EVENT_TYPES), -9.0, dtype=np.float32)


def heads(**fields: float) -> BundleHeads:
    """Returns heads with levels and event types; `fields` are thresholds and temperatures, as in `level_threshold`."""
    return BundleHeads(
        sentiment=BundleHead(labels=SENTIMENTS),
        entities=BundleHead(labels=TAGS),
        level=LevelHead(labels=("neutral", "mild", "material", "favourable"), temperature=fields.get("level", 1.0)),
        events=EventsHead(
            labels=EVENT_TYPES, temperature=fields.get("events", 1.0), threshold=fields.get("threshold", 0.5)
        ),
    )


def event_logits(*codes: str, value: float = 4.0) -> NDArray[np.float32]:
    """Returns the logits of a token: `value` for these event types, very low for the others."""
    logits = CALM.copy()
    logits[[EVENT_TYPES.index(code) for code in codes]] = value
    return logits


def decoded(
    levels: Sequence[Sequence[float]],
    events: Sequence[NDArray[np.float32]],
    start: NDArray[np.float32] = CALM,
    bundle_heads: BundleHeads | None = None,
) -> SentencePrediction:
    """Returns the prediction for a sentence of one-letter words with spaces between them: "a b c".

    Token n is at the characters from 2 n to 2 n + 1.

    Args:
        levels: the logits of the level of each token.
        events: the logits of the event types of each token.
        start: the logits of the event types at position 0.
    """
    count = len(levels)
    window = TokenWindow(np.zeros(count + 2, dtype=np.int64), 0, 0, count)
    offsets = tuple((2 * token, 2 * token + 1) for token in range(count))
    # Special tokens have high logits, so that a result that contains them is wrong.
    end_level = [[50.0, -50.0, 90.0, -50.0]]
    logits = {
        "sentiment": np.zeros(3, dtype=np.float32),
        "entities": np.zeros((count + 2, len(TAGS)), dtype=np.float32),
        "level": np.array([*end_level, *levels, *end_level], dtype=np.float32).reshape(count + 2, 4),
        "events": np.stack([start, *events, event_logits(*EVENT_TYPES, value=50.0)]),
    }
    tokenized = TokenizedSentence(offsets, tuple(range(count)), (window,))
    return decode_sentence(" ".join("a" * count), tokenized, [logits], bundle_heads or heads())


def test_the_level_of_a_span_is_that_of_the_mean_logits_of_its_tokens() -> None:
    sentence = decoded([[4, 0, 0, 0], [0, 0, 4, 0], [0, 0, 2, 0]], [CALM] * 3)
    last_two = sentence.of_span(2, 5).level
    assert last_two is not None
    expected = np.exp([0, 0, 3, 0]) / np.exp([0, 0, 3, 0]).sum()
    assert [last_two.neutral, last_two.mild, last_two.material, last_two.favourable] == pytest.approx(
        expected.tolist(), abs=1e-4
    )
    first = sentence.of_span(0, 1).level
    assert first is not None
    assert first.label(None) == "neutral"


def test_the_temperature_flattens_the_level() -> None:
    sharp = decoded([[0, 0, 2, 0]], [CALM]).of_span(0, 1).level
    flat = decoded([[0, 0, 2, 0]], [CALM], bundle_heads=heads(level=2.0)).of_span(0, 1).level
    assert sharp is not None
    assert flat is not None
    assert flat.material == pytest.approx(np.e / (np.e + 3), abs=1e-4)
    assert flat.material < sharp.material


def test_the_events_of_a_span_are_those_of_its_tokens_and_the_sentence_has_those_of_no_party() -> None:
    sentence = decoded(
        [[0, 0, 0, 0]] * 3,
        [event_logits("recall", "crime"), event_logits("crime", value=0.5), CALM],
        start=event_logits("macro_stress"),
    )
    assert [event.label for event in sentence.of_span(0, 1).events or ()] == ["crime", "recall"]
    assert [event.label for event in sentence.of_span(0, 3).events or ()] == ["crime"]  # mean of 4 and 0.5
    assert sentence.of_span(4, 5).events == ()
    assert [event.label for event in sentence.events_of_no_party or ()] == ["macro_stress"]


def test_at_most_three_events_are_given_and_the_best_first() -> None:
    logits = CALM.copy()
    for value, code in enumerate(("crime", "penalty", "relief", "recall"), start=1):
        logits[EVENT_TYPES.index(code)] = value
    sentence = decoded([[0, 0, 0, 0]], [logits])
    assert [event.label for event in sentence.of_span(0, 1).events or ()] == ["recall", "relief", "penalty"]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("threshold", [0.0001, 0.03, 0.5, 0.97])
def test_an_event_at_the_threshold_is_given_and_one_below_is_not(threshold: float, temperature: float) -> None:
    """Only event types that reach the threshold at some token are kept, so the border is where one could be lost."""
    at_threshold = temperature * float(np.log(threshold / (1 - threshold)))
    bundle_heads = heads(events=temperature, threshold=threshold)
    for above, expected in ((0.002, ["crime"]), (-temperature, [])):
        logits = np.full(len(EVENT_TYPES), -60.0, dtype=np.float32)
        logits[EVENT_TYPES.index("crime")] = at_threshold + above
        sentence = decoded([[0, 0, 0, 0]], [logits], start=logits, bundle_heads=bundle_heads)
        assert [event.label for event in sentence.of_span(0, 1).events or ()] == expected
        assert [event.label for event in sentence.events_of_no_party or ()] == expected


def test_an_event_in_any_window_of_a_long_sentence_is_one_of_the_sentence() -> None:
    starts = np.stack([event_logits("macro_stress"), CALM, event_logits("unrest", value=1.0)])
    head = heads().events
    assert head is not None
    events = TokenEvents.decode(np.stack([CALM]), starts, head)
    assert [event.label for event in events.of_no_party] == ["macro_stress", "unrest"]


def test_a_span_without_a_token_is_neutral_and_has_no_events() -> None:
    span = decoded([[0, 0, 9, 0]], [event_logits("recall")]).of_span(1, 2)
    assert span.level is not None
    assert (span.level.neutral, span.level.adverse, span.events) == (1.0, 0.0, ())


def test_without_the_heads_nothing_is_predicted() -> None:
    old = BundleHeads(sentiment=BundleHead(labels=SENTIMENTS), entities=BundleHead(labels=TAGS))
    sentence = decoded([[0, 0, 9, 0]], [event_logits("recall")], bundle_heads=old)
    assert sentence.of_span(0, 1)[1:] == (None, None)
    assert sentence.events_of_no_party is None


logit = st.floats(-30, 30, width=32)
token_count = st.shared(st.integers(1, 6), key="tokens")
token_levels = token_count.flatmap(
    lambda count: st.lists(st.lists(logit, min_size=4, max_size=4), min_size=count, max_size=count)
)
token_events = token_count.flatmap(
    lambda count: st.lists(
        st.lists(logit, min_size=len(EVENT_TYPES), max_size=len(EVENT_TYPES)), min_size=count, max_size=count
    )
)
spans = st.tuples(st.integers(0, 10), st.integers(1, 11)).filter(lambda span: span[0] < span[1])
thresholds = st.sampled_from([0.0001, 0.05, 0.4, 0.5, 0.9, 0.9999])


@settings(deadline=None)
@given(token_levels, token_events, spans, thresholds, st.sampled_from([0.3, 1.0, 2.7]))
def test_levels_sum_to_one_and_events_are_the_best_three_of_all_that_reach_the_threshold(
    levels: list[list[float]], events: list[list[float]], span: tuple[int, int], threshold: float, temperature: float
) -> None:
    """The events are compared with those of all 42 logits, of which the prediction drops those that no span needs."""
    token_logits = [np.array(row, dtype=np.float32) for row in events]
    sentence = decoded(
        levels, token_logits, bundle_heads=heads(level=temperature, events=temperature, threshold=threshold)
    )
    predicted = sentence.of_span(*span)
    assert predicted.level is not None
    assert predicted.events is not None
    level = predicted.level
    units = [round(share * 10_000) for share in (level.neutral, level.mild, level.material, level.favourable)]
    assert sum(units) == 10_000
    assert level.adverse == pytest.approx(level.mild + level.material, abs=1e-9)

    tokens = [token for token in range(len(levels)) if 2 * token < span[1] and 2 * token + 1 > span[0]]
    scores = {}
    if tokens:
        means = np.mean([token_logits[token].astype(np.float64) for token in tokens], axis=0)
        scores = dict(zip(EVENT_TYPES, 1 / (1 + np.exp(-means / temperature)), strict=True))
    probabilities = [event.score for event in predicted.events]
    assert len(probabilities) <= MAX_EVENTS
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(score >= threshold for score in probabilities)
    for event in predicted.events:
        assert event.score == pytest.approx(scores[event.label], abs=2e-4)
    best = sorted((score for score in scores.values() if score >= threshold + 2e-4), reverse=True)[:MAX_EVENTS]
    assert len(probabilities) >= len(best)
    assert probabilities[: len(best)] == pytest.approx(best, abs=2e-4)
