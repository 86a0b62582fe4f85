"""A short text of unknown language is read only if the words beside its names are the bundle's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from feeds.recorded_items import language_errors, recorded_items

from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.vocabulary import MAX_WORDS, Vocabulary

VOCABULARY = Vocabulary(frozenset(("plunge", "fine", "falls", "raided", "by", "police", "profit", "the")))


@pytest.mark.parametrize(
    "title",
    [
        "Mediobanca Banca plunges",
        "MEDIOBANCA BANCA PROFIT FALLS",
        "Caisse Des Dépôts Raided By Police",
        "Société Générale fined",
        "Société Générale raided by police in Zürich",
    ],
    ids=["ending", "capitals", "title-case", "past-tense", "name-at-the-end"],
)
def test_names_of_any_language_beside_words_of_the_bundle_are_read(title: str) -> None:
    assert VOCABULARY.reads(title)


@pytest.mark.parametrize(
    "title",
    [
        "",
        "Mediobanca Banca",
        "The",
        "Société Générale suspend son dividende",
        "BANCA POPOLARE TAGLIA LE STIME",
        "profit daalt bij the bank",
        "道指收跌逾百点",
        "profit falls " * MAX_WORDS,
    ],
    ids=["empty", "names", "one-short-word", "french", "capitals", "half-of-the-words", "chinese", "long"],
)
def test_a_text_of_other_words_or_of_names_alone_is_not_read(title: str) -> None:
    assert not VOCABULARY.reads(title)


@pytest.mark.parametrize("tokens", [("fraud", "##s", "##ing"), ("\u0120fraud", "ing"), ("\u2581fraud", "s")])
def test_only_whole_words_of_the_tokenizer_are_in_the_vocabulary(tmp_path: Path, tokens: tuple[str, ...]) -> None:
    """WordPiece marks the other tokens with `##`. Byte-pair and unigram tokenizers mark the starts of words."""
    file = tmp_path / "tokenizer.json"
    model = {"type": "WordLevel", "vocab": {token: index for index, token in enumerate(tokens)}, "unk_token": "?"}
    file.write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}), encoding="utf-8")
    assert Vocabulary.load(file).words == {"fraud"}


@pytest.mark.needs_data
def test_at_most_two_percent_of_recorded_foreign_items_are_read(shared_data: Path) -> None:
    """Also at most 1 % of the English items are not read. Needs the shared data and the shipped bundle.

    The items are tried as published, without the declared language, and by their titles alone.
    """
    items = list(recorded_items(shared_data / "feeds"))
    errors = language_errors(items, Vocabulary.load(Bundle.load().tokenizer_path))
    assert all(len(error.read) <= 0.02 * error.foreign for error in errors), [str(error) for error in errors]
    assert all(len(error.unread) <= 0.01 * error.english for error in errors), [str(error) for error in errors]
