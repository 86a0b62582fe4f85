"""Decoding: whatever the logits, names are valid, whole words, and where the text says they are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskwire.inference.model.named_spans import allowed_transitions, best_tags, named_spans, tag_runs, trimmed
from riskwire.inference.model.probabilities import mean, rounded, softmax

LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")


def test_a_tag_inside_a_name_only_follows_that_name() -> None:
    allowed = allowed_transitions(LABELS)
    for at, before in enumerate(LABELS):
        for to, label in enumerate(LABELS):
            assert allowed[at, to] == (not label.startswith("I-") or (before[2:] == label[2:] and before != "O"))


logits = st.integers(0, 12).flatmap(
    lambda words: st.lists(st.lists(st.floats(-9, 9, width=32), min_size=9, max_size=9), min_size=words, max_size=words)
)


@given(logits)
def test_the_best_tags_are_valid_and_no_valid_sequence_of_three_beats_them(rows: list[list[float]]) -> None:
    scores = np.array(rows, dtype=np.float32).reshape(-1, 9)
    tags = best_tags(scores, LABELS)
    allowed = allowed_transitions(LABELS)
    assert len(tags) == len(rows)
    assert not tags or not LABELS[tags[0]].startswith("I-")
    assert all(allowed[a, b] for a, b in pairwise(tags))
    if len(rows) == 3:
        total = sum(float(scores[at, tag]) for at, tag in enumerate(tags))
        for a in range(9):
            for b in range(9):
                for c in range(9):
                    if not LABELS[a].startswith("I-") and allowed[a, b] and allowed[b, c]:
                        assert scores[0, a] + scores[1, b] + scores[2, c] <= total + 1e-3


def test_runs_end_where_a_name_of_the_same_kind_begins() -> None:
    tags = [LABELS.index(tag) for tag in ("B-ORG", "I-ORG", "B-ORG", "O", "B-PER")]
    assert tag_runs(tags, LABELS) == [(0, 2, "ORG"), (2, 3, "ORG"), (4, 5, "PER")]


def test_a_word_is_never_cut_whatever_its_later_pieces_say() -> None:
    text = "Acmeville fell"
    offsets = [(0, 4), (4, 9), (10, 14)]
    scores = np.zeros((3, 9), dtype=np.float32)
    scores[0, LABELS.index("B-ORG")] = 5
    scores[1:, 0] = 5
    (span,) = named_spans(text, scores, offsets, [0, 0, 1], LABELS)
    assert text[span.start : span.end] == "Acmeville"


@settings(max_examples=200)
@given(st.text(alphabet="Aa b'’\"s.,()é\u00a0", max_size=20), st.data())
def test_a_trimmed_span_lies_inside_and_has_no_space_or_quote_at_its_edges(text: str, data: st.DataObject) -> None:
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
def test_possessives_and_punctuation_are_not_part_of_a_name(text: str, name: str) -> None:
    start, end = trimmed(text, 0, len(text))
    assert text[start:end] == name


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30).filter(lambda values: sum(values) > 1e-6))
def test_a_rounded_distribution_sums_to_one_in_units_of_a_ten_thousandth(values: list[float]) -> None:
    shares = rounded(values)
    units = [round(share * 10_000) for share in shares]
    assert sum(units) == 10_000
    assert all(unit / 10_000 == share for unit, share in zip(units, shares, strict=True))
    total = sum(values)
    assert all(abs(share - value / total) <= 1e-4 for share, value in zip(shares, values, strict=True))
    assert rounded(shares) == shares


def test_what_is_no_distribution_is_refused() -> None:
    for values in ([0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]):
        with pytest.raises(ValueError, match="not a distribution"):
            rounded(values)


def test_a_mean_weighs_its_parts() -> None:
    assert mean([(3.0, (1.0, 0.0, 0.0)), (1.0, (0.0, 0.0, 1.0))]) == (0.75, 0.0, 0.25)


def test_temperature_flattens() -> None:
    sharp, flat = (softmax(np.array([2.0, 0.0], dtype=np.float32), t)[0] for t in (1.0, 2.0))
    assert sharp == pytest.approx(1 / (1 + np.exp(-2)))
    assert 0.5 < flat < sharp
