"""Labels of other people's checkpoints are mapped to those of a bundle, or refused by name."""

from __future__ import annotations

import pytest

from riskwire_models.data.labels import ENTITY_TYPES
from riskwire_models.errors import ExportError
from riskwire_models.export.label_schemes import entity_scheme, sentiment_order


def numbered(text: str) -> dict[int, str]:
    return dict(enumerate(text.split()))


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        ("positive negative neutral", [1, 2, 0]),
        ("NEGATIVE NEUTRAL POSITIVE", [0, 1, 2]),
        ("Neutral Positive Negative", [2, 0, 1]),
    ],
)
def test_sentiments_are_found_in_any_order_and_case(labels: str, order: list[int]) -> None:
    assert sentiment_order(numbered(labels)) == order


@pytest.mark.parametrize(
    "labels", ["LABEL_0 LABEL_1 LABEL_2", "negative positive", "negative neutral positive mixed", "1 2 3"]
)
def test_other_sentiments_are_refused_by_name(labels: str) -> None:
    with pytest.raises(ExportError, match="must be negative, neutral and positive") as caught:
        sentiment_order(numbered(labels))
    assert all(repr(label) in str(caught.value) for label in labels.split())


def test_bio_tags_keep_their_place() -> None:
    scheme = entity_scheme(numbered("O B-MISC I-MISC B-PER I-PER B-ORG I-ORG B-LOC I-LOC"))
    assert scheme.outside == 0
    assert scheme.beginning == {"PER": (3,), "ORG": (5,), "LOC": (7,), "MISC": (1,)}
    assert scheme.inside == {"PER": (4,), "ORG": (6,), "LOC": (8,), "MISC": (2,)}
    assert scheme.types == ENTITY_TYPES


def test_single_and_last_words_of_bioes_and_bilou_begin_and_continue_a_name() -> None:
    for labels in ("S-ORG B-ORG I-ORG E-ORG O", "U-ORG B-ORG I-ORG L-ORG O"):
        scheme = entity_scheme(numbered(labels))
        assert (scheme.outside, scheme.beginning["ORG"], scheme.inside["ORG"]) == (4, (0, 1), (2, 3))
        assert scheme.types == ("ORG",)


@pytest.mark.parametrize("labels", ["O PER ORG LOC", "O I-PER I-ORG I-LOC", "o person Organization location"])
def test_in_an_io_scheme_every_word_of_a_name_has_the_same_label(labels: str) -> None:
    scheme = entity_scheme(numbered(labels))
    assert scheme.beginning == {kind: () for kind in ENTITY_TYPES}
    assert scheme.inside == {"PER": (1,), "ORG": (2,), "LOC": (3,), "MISC": ()}


@pytest.mark.parametrize(
    ("labels", "unknown"),
    [
        ("O B-DATE I-DATE B-ORG I-ORG", "B-DATE, I-DATE"),
        ("LABEL_0 LABEL_1", "LABEL_0, LABEL_1"),
        ("O X-ORG", "X-ORG"),
        ("O B-ORG I-ORG PRODUCT", "PRODUCT"),
    ],
)
def test_unknown_tags_are_refused_by_name(labels: str, unknown: str) -> None:
    with pytest.raises(ExportError, match=f"of which {unknown} cannot be mapped"):
        entity_scheme(numbered(labels))


@pytest.mark.parametrize("labels", ["B-ORG I-ORG", "O", "O O B-ORG", "O PER B-ORG I-ORG"])
def test_tags_without_one_o_and_mixed_schemes_are_refused(labels: str) -> None:
    with pytest.raises(ExportError, match="in the scheme BIO, IO or BIOES"):
        entity_scheme(numbered(labels))
