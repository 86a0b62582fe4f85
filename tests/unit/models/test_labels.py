"""Tags over words and word pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from riskwire_models.data.labels import ENTITY_TAGS, HEADS, IGNORED, Span, pieces_inside, spans_of_tags, tag_pieces

B_ORG, I_ORG = ENTITY_TAGS.index("B-ORG"), ENTITY_TAGS.index("I-ORG")


def test_the_heads_have_the_labels_the_graph_promises() -> None:
    assert {head: len(labels) for head, labels in HEADS.items()} == {
        "sentiment": 3,
        "entities": 9,
        "target_sentiment": 3,
        "topics": 20,
    }
    assert ENTITY_TAGS == ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")


def test_entities_are_read_as_conlleval_reads_them() -> None:
    assert spans_of_tags(["B-PER", "I-PER", "O", "B-ORG", "B-ORG"]) == [(0, 2, "PER"), (3, 4, "ORG"), (4, 5, "ORG")]
    assert spans_of_tags(["O", "I-LOC", "I-LOC"]) == [(1, 3, "LOC")]
    assert spans_of_tags(["B-PER", "I-ORG"]) == [(0, 1, "PER"), (1, 2, "ORG")]
    assert spans_of_tags([]) == []


@given(st.lists(st.sampled_from(ENTITY_TAGS)))
def test_entities_never_overlap_and_hold_no_outside(tags: list[str]) -> None:
    spans = spans_of_tags(tags)
    covered = [at for start, end, _ in spans for at in range(start, end)]
    assert covered == [at for at, tag in enumerate(tags) if tag != "O"]


def test_pieces_of_a_name_open_once_and_special_pieces_teach_nothing() -> None:
    #          [CLS]    acme   ##co    bank     fell     [SEP]
    offsets = [(0, 0), (0, 4), (4, 6), (7, 11), (12, 16), (0, 0)]
    tags = tag_pieces(offsets, [Span(0, 11, "ORG")])
    assert tags == [IGNORED, B_ORG, I_ORG, I_ORG, 0, IGNORED]


def test_unknown_stretches_are_masked_even_inside_a_name() -> None:
    offsets = [(0, 0), (0, 4), (5, 9), (10, 14), (0, 0)]
    assert tag_pieces(offsets, [Span(0, 4, "ORG")], [(5, 9)]) == [IGNORED, B_ORG, IGNORED, 0, IGNORED]
    assert tag_pieces(offsets, [Span(0, 4, "ORG")], [(0, 4)]) == [IGNORED, IGNORED, 0, 0, IGNORED]


def test_a_mention_that_was_cut_off_has_no_pieces() -> None:
    offsets = [(0, 0), (0, 4), (0, 0)]
    assert pieces_inside(offsets, Span(0, 4, "negative")) == [1]
    assert pieces_inside(offsets, Span(20, 24, "negative")) == []
