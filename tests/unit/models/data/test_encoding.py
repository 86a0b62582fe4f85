"""Examples as word pieces, with the label index that each head should predict."""

from __future__ import annotations

import pytest
from small_models.tokenizers_of import small_tokenizer
from tokenizers import Tokenizer

from riskwire_models.data.encoding import EncodedTarget, encode_examples, truncate
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import (
    ENTITY_TAGS,
    EVENT_TYPES,
    IGNORED,
    LEVELS,
    TOPICS,
    LabelledSpan,
    LabelledTarget,
    MentionReading,
    SentenceReading,
)


@pytest.fixture(name="tokenizer", scope="module")
def _tokenizer() -> Tokenizer:
    return small_tokenizer("bert", ["acme", "falls", "##co", "globex"])


def test_each_label_becomes_its_index_and_an_unknown_label_is_ignored(tokenizer: Tokenizer) -> None:
    mention, sentence = MentionReading((1.0,), (1.0,), (0.0,)), SentenceReading((1.0,), (1.0,), (0.0,))
    example = Example(
        "Acmeco falls",
        "risk",
        sentiment="positive",
        topic="Earnings",
        targets=(
            LabelledTarget(0, 6, "negative", "material", ("default", "crime"), mention),
            LabelledTarget(7, 12, events=()),
        ),
        entities=(LabelledSpan(0, 6, "ORG"),),
        events=("unrest",),
        teacher=sentence,
    )
    (row,) = encode_examples([example], tokenizer, 16)
    #              [CLS]    acme                        ##co                        falls  [SEP]
    assert row.tags == (IGNORED, ENTITY_TAGS.index("B-ORG"), ENTITY_TAGS.index("I-ORG"), 0, IGNORED)
    assert row.targets == (
        EncodedTarget(
            (1, 2),
            0,
            LEVELS.index("material"),
            (EVENT_TYPES.index("default"), EVENT_TYPES.index("crime")),
            mention,
        ),
        EncodedTarget((3,), IGNORED, IGNORED, ()),
    )
    assert (row.sentiment, row.topic, row.events) == (2, TOPICS.index("Earnings"), (EVENT_TYPES.index("unrest"),))
    assert (row.source, row.teacher) == ("risk", sentence)


def test_labels_that_are_not_known_stay_so(tokenizer: Tokenizer) -> None:
    (row,) = encode_examples([Example("Acme falls", "tfns")], tokenizer, 16)
    assert (row.sentiment, row.topic, row.tags, row.targets, row.events, row.teacher) == (
        IGNORED,
        IGNORED,
        None,
        (),
        None,
        None,
    )


def test_a_long_sentence_is_cut_and_loses_the_mentions_behind_the_cut(tokenizer: Tokenizer) -> None:
    text = "Acme falls Globex falls"
    targets = (LabelledTarget(0, 4, level="mild"), LabelledTarget(11, 17, level="material"))
    (row,) = encode_examples([Example(text, "risk", targets=targets)], tokenizer, 4)
    assert len(row) == 4
    assert [tokenizer.id_to_token(number) for number in row.ids] == ["[CLS]", "acme", "falls", "[SEP]"]
    assert [target.level for target in row.targets] == [LEVELS.index("mild")]


def test_a_sentence_that_fits_is_not_cut() -> None:
    assert truncate([1, 2, 3], [(0, 0), (0, 4), (0, 0)], 3) == ([1, 2, 3], [(0, 0), (0, 4), (0, 0)])
