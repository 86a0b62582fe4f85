"""The labels of the heads, and entity tags of words and word pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from riskwire_models.data.labels import (
    ENTITY_TAGS,
    HEADS,
    IGNORED,
    LabelledSpan,
    pieces_inside,
    spans_from_tags,
    tag_pieces,
)

B_ORG, I_ORG = ENTITY_TAGS.index("B-ORG"), ENTITY_TAGS.index("I-ORG")


def test_each_head_has_as_many_labels_as_the_graph_has_logits() -> None:
    assert {head: len(labels) for head, labels in HEADS.items()} == {
        "sentiment": 3,
        "entities": 9,
        "target_sentiment": 3,
        "topics": 20,
        "level": 4,
        "events": 42,
    }
    assert ENTITY_TAGS == ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")


def test_entities_are_delimited_as_in_conlleval() -> None:
    assert spans_from_tags(["B-PER", "I-PER", "O", "B-ORG", "B-ORG"]) == [(0, 2, "PER"), (3, 4, "ORG"), (4, 5, "ORG")]
    assert spans_from_tags(["O", "I-LOC", "I-LOC"]) == [(1, 3, "LOC")]
    assert spans_from_tags(["B-PER", "I-ORG"]) == [(0, 1, "PER"), (1, 2, "ORG")]
    assert spans_from_tags([]) == []


@given(st.lists(st.sampled_from(ENTITY_TAGS)))
def test_entities_do_not_overlap_and_cover_all_tags_except_o(tags: list[str]) -> None:
    spans = spans_from_tags(tags)
    covered = [position for start, end, _ in spans for position in range(start, end)]
    assert covered == [position for position, tag in enumerate(tags) if tag != "O"]


def test_an_entity_starts_with_one_b_tag_and_special_tokens_are_ignored() -> None:
    #          [CLS]    acme   ##co    bank     fell     [SEP]
    offsets = [(0, 0), (0, 4), (4, 6), (7, 11), (12, 16), (0, 0)]
    tags = tag_pieces(offsets, [LabelledSpan(0, 11, "ORG")])
    assert tags == [IGNORED, B_ORG, I_ORG, I_ORG, 0, IGNORED]


def test_unknown_ranges_are_ignored_even_inside_an_entity() -> None:
    offsets = [(0, 0), (0, 4), (5, 9), (10, 14), (0, 0)]
    assert tag_pieces(offsets, [LabelledSpan(0, 4, "ORG")], [(5, 9)]) == [IGNORED, B_ORG, IGNORED, 0, IGNORED]
    assert tag_pieces(offsets, [LabelledSpan(0, 4, "ORG")], [(0, 4)]) == [IGNORED, IGNORED, 0, 0, IGNORED]


def test_a_truncated_mention_has_no_pieces() -> None:
    offsets = [(0, 0), (0, 4), (0, 0)]
    assert pieces_inside(offsets, 0, 4) == [1]
    assert pieces_inside(offsets, 20, 24) == []
