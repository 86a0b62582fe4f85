"""Reading BIO files and converting their tags to the conventions of CoNLL-2003."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskwire_models.data.bio import (
    example_from_words,
    handle_words,
    nationalities_as_misc,
    read_bio,
    read_entities,
    without_titles,
)
from riskwire_models.errors import TrainingDataError


def labelled_texts(text: str, spans: object) -> list[tuple[str, str]]:
    return [(text[span.start : span.end], span.label) for span in spans]  # type: ignore[attr-defined]


def test_blank_lines_separate_sentences_and_the_last_sentence_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "a.bio"
    path.write_text("Acme\tB-ORG\nfell\tO\n\n\nParis\tB-LOC", encoding="utf-8")
    assert list(read_bio(path)) == [(["Acme", "fell"], ["B-ORG", "O"]), (["Paris"], ["B-LOC"])]


@pytest.mark.parametrize("line", ["Acme", "Acme\tB-COMPANY", "Acme B-ORG"])
def test_a_malformed_line_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.bio"
    path.write_text(f"The\tO\n{line}\n", encoding="utf-8")
    with pytest.raises(TrainingDataError, match=r"a\.bio:2: expected token<TAB>tag"):
        list(read_bio(path))


def test_the_error_of_a_missing_file_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="--data"):
        list(read_bio(tmp_path / "none.bio"))


def test_titles_are_removed_from_persons() -> None:
    words = ["Prime", "Minister", "Tony", "Blair", "met", "President", "Bush"]
    tags = ["B-PER", "I-PER", "I-PER", "I-PER", "O", "B-PER", "I-PER"]
    assert without_titles(words, tags) == ["O", "O", "B-PER", "I-PER", "O", "O", "B-PER"]


def test_a_title_alone_is_not_a_person_and_organisations_keep_their_words() -> None:
    assert without_titles(["President", "General", "Electric"], ["B-PER", "B-ORG", "I-ORG"]) == ["O", "B-ORG", "I-ORG"]


def test_nationalities_tagged_as_places_become_misc_and_places_do_not() -> None:
    words = ["Iraqi", "and", "South", "Korean", "troops", "in", "Iraq"]
    tags = ["B-LOC", "O", "B-LOC", "I-LOC", "O", "O", "B-LOC"]
    assert nationalities_as_misc(words, tags) == ["B-MISC", "O", "B-MISC", "I-MISC", "O", "O", "B-LOC"]


def test_handles_are_recognised_as_one_word_or_two() -> None:
    assert handle_words(["@acme", "and", "@", "paris", "fell"]) == [True, False, True, True, False]


def test_an_example_has_character_spans_and_unknown_handles() -> None:
    example = example_from_words(["@acme", "in", "New", "York"], ["B-ORG", "O", "B-LOC", "I-LOC"], "btc")
    assert example.text == "@acme in New York"
    assert example.unknown == ((0, 5),)
    assert example.entities is not None
    assert labelled_texts(example.text, example.entities) == [("@acme", "ORG"), ("New York", "LOC")]


def test_tweets_that_are_mostly_handles_are_skipped_and_shares_are_deterministic(tmp_path: Path) -> None:
    path = tmp_path / "a.bio"
    path.write_text("@a\tB-PER\n@b\tB-PER\nhi\tO\n\nAcme\tB-ORG\nfell\tO\nagain\tO\n\n", encoding="utf-8")
    assert [example.text for example in read_entities(path, "btc")] == ["Acme fell again"]
    assert list(read_entities(path, "btc", share=0.5)) == list(read_entities(path, "btc", share=0.5))
    assert list(read_entities(path, "btc", share=0.0)) == []
