"""A trimmed tokenizer splits the corpus as the full one does, and splits any other text too."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models.tokenizers_of import UNUSED, small_tokenizer
from tokenizers import Tokenizer

import riskwire_models
from riskwire_models.data.encoding import load_tokenizer
from riskwire_models.data.vocabulary import needed_pieces, trimmed_tokenizer

BUNDLE_TOKENIZER = Path(riskwire_models.__file__).parent / "bundles" / "finance-en" / "tokenizer.json"
WORDS = ["acme", "fall", "falls", "##ing", "##s", "profit", "bank", "bankrupt", "##cy", "the"]
CORPUS = ["Acme falls", "The bank is falling: profits fell 5%", "the bankruptcy of Acme", "acme, acme & the bank"]
SPECIAL = {"bert": ("[CLS]", "[SEP]", "[UNK]"), "mpnet": ("<s>", "</s>", "[UNK]")}


def write_full(folder: Path, kind: str) -> Path:
    path = folder / "full.json"
    small_tokenizer(kind, WORDS).save(str(path))
    return path


def trimmed(path: Path, texts: list[str], least: int) -> Tokenizer:
    return Tokenizer.from_str(trimmed_tokenizer(path, needed_pieces(load_tokenizer(path), texts, least)))


@pytest.fixture(name="full", scope="module")
def _full(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Returns the paths of a small tokenizer of each kind, and of that of the shipped bundle."""
    paths = {kind: write_full(tmp_path_factory.mktemp(kind), kind) for kind in SPECIAL}
    return {**paths, "bundle": BUNDLE_TOKENIZER}


@pytest.fixture(name="whole", scope="module")
def _whole(full: dict[str, Path]) -> dict[str, Tokenizer]:
    """Returns these tokenizers."""
    return {name: load_tokenizer(path) for name, path in full.items()}


@pytest.fixture(name="cut", scope="module")
def _cut(full: dict[str, Path]) -> dict[str, Tokenizer]:
    """Returns each of these tokenizers, trimmed to the pieces that `CORPUS` holds."""
    return {name: trimmed(path, CORPUS, 1) for name, path in full.items()}


@pytest.mark.parametrize("name", ["bert", "mpnet", "bundle"])
def test_the_trimmed_tokenizer_splits_the_corpus_into_the_same_pieces(
    whole: dict[str, Tokenizer], cut: dict[str, Tokenizer], name: str
) -> None:
    tokenizer = whole[name]
    for text in CORPUS:
        before, after = tokenizer.encode(text), cut[name].encode(text)
        assert after.tokens == before.tokens
        assert after.offsets == before.offsets
        assert [cut[name].id_to_token(number) for number in after.ids] == before.tokens


@pytest.mark.parametrize("name", ["bert", "mpnet", "bundle"])
def test_ids_are_numbered_without_gaps_in_the_order_of_the_full_vocabulary(
    whole: dict[str, Tokenizer], cut: dict[str, Tokenizer], name: str
) -> None:
    vocabulary = cut[name].get_vocab()
    numbers = needed_pieces(whole[name], CORPUS, 1)
    assert sorted(vocabulary.values()) == list(range(len(numbers)))
    old_ids = whole[name].get_vocab()
    assert [old_ids[piece] for piece in sorted(vocabulary, key=vocabulary.__getitem__)] == numbers
    assert not set(UNUSED) & set(vocabulary)
    assert len(vocabulary) < len(old_ids)


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_special_tokens_have_their_new_ids(cut: dict[str, Tokenizer], kind: str) -> None:
    first, last, unknown = SPECIAL[kind]
    tokenizer = cut[kind]
    encoding = tokenizer.encode("acme ☃")
    assert encoding.tokens == [first, "acme", unknown, last]
    assert encoding.ids == [tokenizer.token_to_id(token) for token in encoding.tokens]
    for number, token in tokenizer.get_added_tokens_decoder().items():
        assert tokenizer.token_to_id(token.content) == number
    content = json.loads(tokenizer.to_str())
    assert {token["content"]: token["id"] for token in content["added_tokens"]}.items() <= tokenizer.get_vocab().items()


@pytest.mark.parametrize("name", ["bert", "mpnet", "bundle"])
@given(text=st.text())
def test_any_text_can_still_be_encoded(cut: dict[str, Tokenizer], name: str, text: str) -> None:
    encoding = cut[name].encode(text)
    assert len(encoding.ids) >= 2
    assert max(encoding.ids) < cut[name].get_vocab_size()
    assert all(0 <= start <= end <= len(text) for start, end in encoding.offsets)


@given(text=st.text("abcdefghijklmnopqrstuvwxyz0123456789 .,%$&'-"))
def test_words_that_the_corpus_lacks_are_split_into_smaller_pieces_and_stay_known(
    whole: dict[str, Tokenizer], cut: dict[str, Tokenizer], text: str
) -> None:
    for name in ("bert", "mpnet", "bundle"):
        unknown = Counter(whole[name].encode(text).tokens)["[UNK]"]
        assert Counter(cut[name].encode(text).tokens)["[UNK]"] == unknown == 0


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
@given(texts=st.lists(st.lists(st.sampled_from(["acme", "falling", "bankruptcy", "the", "profits"])).map(" ".join)))
def test_a_piece_needs_the_least_count_to_remain(whole: dict[str, Tokenizer], kind: str, texts: list[str]) -> None:
    tokenizer = whole[kind]
    counts = Counter(piece for text in texts for piece in tokenizer.encode(text).tokens)
    remaining = {tokenizer.id_to_token(number) for number in needed_pieces(tokenizer, texts, 3)}
    for word in WORDS:
        assert (word in remaining) == (counts[word] >= 3 or len(word.removeprefix("##")) == 1)
