"""The training corpus: labels of one text from several sets, and sets that may not be trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models.data_folder import NAMES, write_data_folder

import riskwire_models.data.corpus as corpus_module
from riskwire_models.data.catalogue import DEFAULT_TRAINING
from riskwire_models.data.corpus import TRAINING_ONLY, merge_labels, training_corpus
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import LabelledSpan, LabelledTarget
from riskwire_models.data.splits import split_of
from riskwire_models.errors import LicenceError, TrainingDataError

TEXT = "Acme falls 5%"
RISK = Example(TEXT, "risk", targets=(LabelledTarget(0, 4, level="material", events=("price_fall",)),), events=())
SENTIMENT = LabelledTarget(0, 4, "negative")


def test_a_text_of_several_sets_becomes_one_example_with_all_labels() -> None:
    (merged,) = merge_labels(
        [
            Example(TEXT, "tfns", sentiment="negative"),
            RISK,
            Example(TEXT, "topic", topic="Stock Movement"),
            Example(TEXT, "sentfin", targets=(SENTIMENT,), entities=(LabelledSpan(0, 4, "ORG"),), unknown=((11, 13),)),
        ]
    )
    assert merged == replace(
        RISK,
        sentiment="negative",
        topic="Stock Movement",
        targets=(*RISK.targets, SENTIMENT),
        entities=(LabelledSpan(0, 4, "ORG"),),
        unknown=((11, 13),),
    )


def test_labels_with_positions_are_taken_over_only_from_an_equal_text() -> None:
    """Copies that differ in links, numbers or tickers share labels of the sentence, but not positions."""
    copy = Example("$ACM Acme falls 7%", "sentfin", sentiment="negative", targets=(LabelledTarget(5, 9, "negative"),))
    with_entities = replace(copy, entities=(LabelledSpan(5, 9, "ORG"),), unknown=((0, 4),))
    assert merge_labels([RISK, with_entities]) == [replace(RISK, sentiment="negative")]


def test_texts_with_risk_labels_that_differ_in_a_number_only_are_all_kept() -> None:
    second = replace(RISK, text="Acme falls 7%")
    copy = Example("Acme falls 5%", "sentfin", targets=(SENTIMENT,))
    assert merge_labels([RISK, second, copy]) == [replace(RISK, targets=(*RISK.targets, SENTIMENT)), second]


def test_examples_without_risk_labels_are_not_merged() -> None:
    several = [Example(TEXT, "tfns", sentiment="negative"), Example(TEXT, "topic", topic="Markets")]
    assert merge_labels(several) == several
    assert merge_labels([*several, replace(RISK, text="Globex falls 5%")])[:2] == several


def test_labels_of_a_second_reading_are_merged_like_those_of_the_first() -> None:
    """They were lost once: nothing was trained on them."""
    hard = replace(RISK, source="risk_disagreements")
    (merged,) = merge_labels([Example(TEXT, "tfns", sentiment="negative"), hard])
    assert (merged.source, merged.sentiment, merged.targets) == ("risk_disagreements", "negative", hard.targets)


def test_a_known_label_is_not_replaced_by_that_of_another_set() -> None:
    first, second = Example(TEXT, "tfns", sentiment="negative"), Example(TEXT, "finentity", sentiment="neutral")
    assert [example.sentiment for example in merge_labels([first, second, RISK])] == ["negative"]


OTHER_TEXTS = [Example(text, "tfns") for text in (TEXT, "Acme falls 6%", "Oil rises", "Globex sues!")]


@given(st.lists(st.sampled_from([RISK, replace(RISK, text="Acme falls 7%"), *OTHER_TEXTS]), unique=True))
def test_merging_loses_no_risk_labels_and_no_text(examples: list[Example]) -> None:
    merged = merge_labels(examples)
    assert [example for example in merged if example.source == "risk"] == [
        example for example in examples if example.source == "risk"
    ]
    unmerged = [example for example in merged if example.source == "tfns"]
    assert [example for example in examples if example in unmerged] == unmerged
    assert merge_labels(merged) == merged


@pytest.fixture(name="data", scope="module")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_folder(tmp_path_factory.mktemp("data"))


def test_a_text_is_in_the_split_of_its_hash_and_our_own_sentences_only_train(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_module, "STATEMENTS", 30)
    splits = training_corpus(data, (*DEFAULT_TRAINING, "risk_headlines"), seed=17)
    for split, examples in splits.items():
        assert examples
        for example in examples:
            assert split == ("train" if example.source in TRAINING_ONLY else split_of(example.text))
    merged = [example for example in splits["train"] if example.source == "risk"]
    assert len(merged) == len({example.text for example in merged})
    assert {example.source for example in splits["train"]} >= {*TRAINING_ONLY, "risk", "tfns", "wikigold"}


def test_the_corpus_of_a_seed_is_always_the_same(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "STATEMENTS", 30)
    first, second = (training_corpus(data, ("sec", "risk_statements", "risk"), seed=3) for _ in range(2))
    assert first == second


def test_a_written_sentence_has_as_many_examples_as_the_corpus_says(data: Path) -> None:
    train = training_corpus(data, ("risk_statements",), seed=1)["train"]
    sentences = len((data / "risk" / "statements.jsonl").read_text().splitlines())
    assert len(train) == sentences * corpus_module.STATEMENT_COPIES
    for example in train:
        (target,) = example.targets
        assert example.text[target.start : target.end].removesuffix(" Inc") in NAMES


def test_a_set_that_only_measures_is_refused_before_a_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(LicenceError, match=r"risk_open .*must not be trained on"):
        training_corpus(tmp_path, ("tfns", "risk_open"), seed=1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "sec_company_tickers_exchange.json").write_text(json.dumps({"data": []}))
    with pytest.raises(TrainingDataError, match=r"no data file .*statements\.jsonl: pass the folder"):
        training_corpus(tmp_path, ("risk_statements",), seed=1)
