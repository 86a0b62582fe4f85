"""Named spans: for any logits, names are valid BIO, complete words, and at their exact offsets."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskwire.inference.model.named_spans import allowed_transitions, best_tags, named_spans, tag_runs, trimmed
from riskwire.inference.model.probabilities import mean, rounded, softmax

LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")


def test_an_inside_tag_follows_only_a_tag_of_its_kind() -> None:
    """I-X may follow B-X and I-X only; every other tag may follow any. `allowed` is indexed by [previous, tag]."""
    allowed = allowed_transitions(LABELS)
    for previous_tag, previous in enumerate(LABELS):
        for tag, label in enumerate(LABELS):
            continues = previous != "O" and previous[2:] == label[2:]
            assert allowed[previous_tag, tag] == (not label.startswith("I-") or continues)


logits = st.integers(0, 12).flatmap(
    lambda words: st.lists(st.lists(st.floats(-9, 9, width=32), min_size=9, max_size=9), min_size=words, max_size=words)
)


@given(logits)
def test_the_best_tags_are_valid_and_no_valid_sequence_of_three_scores_higher(rows: list[list[float]]) -> None:
    """A row has the logits of a word for the nine labels; the score of a sequence is the sum of its logits.

    For three words, every valid sequence is compared.
    """
    scores = np.array(rows, dtype=np.float32).reshape(-1, 9)
    tags = best_tags(scores, LABELS)
    allowed = allowed_transitions(LABELS)
    assert len(tags) == len(rows)
    assert not tags or not LABELS[tags[0]].startswith("I-")
    assert all(allowed[tag, following] for tag, following in pairwise(tags))
    if len(rows) == 3:
        best = sum(float(scores[word, tag]) for word, tag in enumerate(tags))
        for first, second, third in product(range(9), repeat=3):
            if not LABELS[first].startswith("I-") and allowed[first, second] and allowed[second, third]:
                assert scores[0, first] + scores[1, second] + scores[2, third] <= best + 1e-3


def test_a_name_ends_where_another_of_the_same_kind_begins() -> None:
    """A run is (first word, last word + 1, kind)."""
    tags = [LABELS.index(tag) for tag in ("B-ORG", "I-ORG", "B-ORG", "O", "B-PER")]
    assert tag_runs(tags, LABELS) == [(0, 2, "ORG"), (2, 3, "ORG"), (4, 5, "PER")]


def test_a_word_is_never_cut_for_any_logits_of_its_later_tokens() -> None:
    """The word "Acmeville" has two tokens. The first says B-ORG and the second O, and the first decides."""
    text = "Acmeville fell"
    offsets = [(0, 4), (4, 9), (10, 14)]
    scores = np.zeros((3, 9), dtype=np.float32)
    scores[0, LABELS.index("B-ORG")] = 5
    scores[1:, 0] = 5
    (span,) = named_spans(text, scores, offsets, [0, 0, 1], LABELS)
    assert text[span.start : span.end] == "Acmeville"


@settings(max_examples=200)
@given(st.text(alphabet="Aa b'’\"s.,()é\u00a0", max_size=20), st.data())
def test_a_trimmed_span_is_inside_the_span_without_space_or_quote_at_either_end(text: str, data: st.DataObject) -> None:
    """`trimmed` returns a smaller span of the text, perhaps empty. Trimming that again does not change it."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    first, last = trimmed(text, start, end)
    assert start <= first <= last <= end
    if first < last:
        for char in (text[first], text[last - 1]):
            assert not char.isspace()
            assert char not in "'’\"(),"
        assert trimmed(text, first, last) == (first, last)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Apple's", "Apple"),
        ("Apple’s", "Apple"),
        ('"Acme Corp",', "Acme Corp"),
        ("(U.S.)", "U.S."),
        ("AT&T", "AT&T"),
        ("😀🚗 Apple Inc", "Apple Inc"),
        ("Apple Inc ❤️👍🏽", "Apple Inc"),
        ("Apple®", "Apple"),
        ("«Renault»", "Renault"),
        ("― \u200bAcme\u200d", "Acme"),
        ("👨‍👩‍👧", ""),
        ("$AAPL", "$AAPL"),
        ("Yahoo!", "Yahoo!"),
        ("'s", "s"),
        (" \u00a0", ""),
    ],
)
def test_possessives_and_punctuation_are_trimmed_from_a_name(text: str, name: str) -> None:
    start, end = trimmed(text, 0, len(text))
    assert text[start:end] == name


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30).filter(lambda values: sum(values) > 1e-6))
def test_a_rounded_distribution_sums_to_one_in_units_of_0_0001(values: list[float]) -> None:
    """Each share differs from its exact one by at most a unit, and rounding again changes nothing."""
    shares = rounded(values)
    units = [round(share * 10_000) for share in shares]
    assert sum(units) == 10_000
    assert all(unit / 10_000 == share for unit, share in zip(units, shares, strict=True))
    total = sum(values)
    assert all(abs(share - value / total) <= 1e-4 for share, value in zip(shares, values, strict=True))
    assert rounded(shares) == shares


def test_values_that_are_not_a_distribution_are_refused() -> None:
    for values in ([0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]):
        with pytest.raises(ValueError, match="not a distribution"):
            rounded(values)


def test_the_mean_is_weighted() -> None:
    assert mean([(3.0, (1.0, 0.0, 0.0)), (1.0, (0.0, 0.0, 1.0))]) == (0.75, 0.0, 0.25)


def test_a_higher_temperature_flattens_the_distribution() -> None:
    """The first of two probabilities is the logistic function of the difference of logits at temperature 1."""
    sharp, flat = (softmax(np.array([2.0, 0.0], dtype=np.float32), temperature)[0] for temperature in (1.0, 2.0))
    assert sharp == pytest.approx(1 / (1 + np.exp(-2)))
    assert 0.5 < flat < sharp
