"""Tokenizers of a few words, in the two forms of the pretrained encoders."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import RobertaProcessing, TemplateProcessing

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
MARKS = "'’$&.,:;-–!?%()"
#: Pieces that no text of the tests holds. They stand between the special tokens, as in the vocabularies of BERT.
UNUSED = tuple(f"[unused{number}]" for number in range(3))


def vocabulary_of(kind: str, words: Iterable[str]) -> dict[str, int]:
    """Returns the id of each piece: special tokens, single characters and their continuations, and the words.

    Args:
        kind: ``bert`` or ``mpnet``, which decides the special tokens.
        words: the words, and pieces that begin with ``##``.
    """
    special = ["[PAD]", *UNUSED, "[UNK]", "[CLS]", "[SEP]"] if kind == "bert" else ["<s>", "<pad>", "</s>", "[UNK]"]
    pieces = [*special, *LETTERS, *("##" + letter for letter in LETTERS), *MARKS, *words]
    pieces += [] if kind == "bert" else [*UNUSED, "<mask>"]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def small_tokenizer(kind: str, words: Iterable[str], *, lowercase: bool = True) -> Tokenizer:
    """Returns a WordPiece tokenizer of the words, which ignores the case of letters if ``lowercase``."""
    vocabulary = vocabulary_of(kind, words)
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    if kind == "bert":
        tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
        tokenizer.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
        )
    else:
        tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "[UNK]", "<mask>"])
        tokenizer.post_processor = RobertaProcessing(("</s>", vocabulary["</s>"]), ("<s>", vocabulary["<s>"]))
    return tokenizer
