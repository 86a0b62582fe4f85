"""The rows of an epoch: the recipe's share of each set, without masked labels, augmented."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path

import pytest
from small_models.tokenizers_of import small_tokenizer
from tokenizers import Tokenizer

from riskwire_models.data.augmentation import Augmentation
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import HEADS, LabelledSpan, LabelledTarget, MentionReading, SentenceReading
from riskwire_models.training.recipe import Recipe
from riskwire_models.training.rows import TrainingRows, chosen_examples, masked_examples, without_labels

LABELLED = Example(
    "Acme shares fall",
    "risk",
    sentiment="negative",
    topic="Markets",
    targets=(LabelledTarget(0, 4, "negative", "mild", ("price_fall",)),),
    entities=(LabelledSpan(0, 4, "ORG"),),
    events=(),
)
EXAMPLES = [
    Example(f"Acme shares fall {number} percent", "risk", targets=(LabelledTarget(0, 4, level="mild"),))
    for number in range(60)
]
AUGMENTATION = Augmentation(names=0.3, possessive=0.5, wire=0.5, typo=0.5)


@pytest.fixture(name="tokenizer", scope="module")
def _tokenizer() -> Tokenizer:
    return small_tokenizer("bert", ["acme", "shares", "fall", "percent"])


@pytest.fixture(name="data", scope="module")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "tables").mkdir()
    rows = [[1, "Globex Inc.", "", ""], [2, "Initech Corp", "", ""]]
    (folder / "tables" / "sec_company_tickers_exchange.json").write_text(json.dumps({"data": rows}))
    return folder


def test_a_set_is_used_as_far_as_its_share_says() -> None:
    examples = [Example(f"text {number}", "tfns") for number in range(1000)]
    chosen = chosen_examples(examples, Recipe(data={"tfns": 0.3, "risk": 1.0}))
    assert abs(len(chosen) / 1000 - 0.3) < 0.05
    more = chosen_examples(examples, Recipe(data={"tfns": 0.6, "risk": 1.0}))
    assert set(chosen) <= set(more)
    assert chosen_examples(examples, Recipe(data={"tfns": 1.0})) == examples


def test_the_share_of_the_names_is_that_of_the_generated_statements() -> None:
    statements = [Example(f"text {number}", "statements") for number in range(400)]
    assert abs(len(chosen_examples(statements, Recipe(data={"sec": 0.5}))) / 400 - 0.5) < 0.1
    assert chosen_examples(statements, Recipe(texts_of=("sec",))) == statements


def test_only_texts_of_the_named_sets_are_used() -> None:
    examples = [LABELLED, Example("Oil rises", "tfns")]
    assert chosen_examples(examples, Recipe(texts_of=("risk",))) == [LABELLED]


@pytest.mark.parametrize(
    ("head", "known"),
    [
        ("sentiment", LABELLED.sentiment),
        ("topics", LABELLED.topic),
        ("entities", LABELLED.entities),
        ("target_sentiment", "negative"),
        ("level", "mild"),
        ("events", ("price_fall",)),
    ],
)
def test_a_set_does_not_teach_the_heads_that_it_masks(head: str, known: object) -> None:
    def labels(example: Example) -> dict[str, object]:
        (target,) = example.targets
        return {
            "sentiment": example.sentiment,
            "topics": example.topic,
            "entities": example.entities,
            "target_sentiment": target.sentiment,
            "level": target.level,
            "events": target.events,
        }

    (masked,) = masked_examples([LABELLED], Recipe(masks={"risk": (head,)}))
    assert labels(LABELLED)[head] == known
    assert labels(masked) == {**labels(LABELLED), head: None}
    assert masked.events == (None if head == "events" else ())
    assert without_labels(LABELLED, ()) == LABELLED


@pytest.mark.parametrize("head", [head for head in HEADS if head != "entities"])
def test_a_masked_head_gets_no_readings_of_a_teacher_either(head: str) -> None:
    mention = MentionReading((1.0,), (1.0,), (0.5,))
    sentence = SentenceReading((1.0,), (1.0,), (0.5,))
    read = replace(LABELLED, targets=(replace(LABELLED.targets[0], teacher=mention),), teacher=sentence)
    (masked,) = masked_examples([read], Recipe(masks={"risk": (head,)}))
    for before, after in ((mention, masked.targets[0].teacher), (sentence, masked.teacher)):
        assert after is not None
        for field in fields(before):
            expected = () if field.name == head else getattr(before, field.name)
            assert getattr(after, field.name) == expected
    assert masked_examples([read], Recipe(masks={"tfns": (head,)})) == [read]


def test_an_epoch_is_always_the_same_and_differs_from_the_next(tokenizer: Tokenizer, data: Path) -> None:
    recipe = Recipe(augmentation=AUGMENTATION)
    rows, again = (TrainingRows(EXAMPLES, recipe, tokenizer, data) for _ in range(2))
    assert rows.of_epoch(0) == again.of_epoch(0)
    assert rows.of_epoch(1) == again.of_epoch(1)
    assert rows.of_epoch(0) != rows.of_epoch(1)
    other_seed = TrainingRows(EXAMPLES, Recipe(augmentation=AUGMENTATION, seed=18), tokenizer, data)
    assert rows.of_epoch(0) != other_seed.of_epoch(0)


def test_without_augmentation_every_epoch_has_the_same_rows_and_needs_no_names(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    rows = TrainingRows(EXAMPLES, Recipe(), tokenizer, tmp_path)
    assert rows.of_epoch(0) == rows.of_epoch(5)


@pytest.mark.parametrize("first", [0, 3, 11, 40])
def test_batches_from_a_step_on_are_those_of_a_run_from_the_start(tokenizer: Tokenizer, data: Path, first: int) -> None:
    """So a resumed run sees the batches that it would have seen, over several epochs."""
    rows = TrainingRows(EXAMPLES, Recipe(augmentation=AUGMENTATION, pieces_a_batch=128), tokenizer, data)
    steps = first + 6
    assert list(islice(rows.batches_from_step(first), 6)) == list(islice(rows.batches_from_step(0), steps))[first:]
