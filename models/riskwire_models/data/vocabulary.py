"""Reduces the vocabulary of a WordPiece tokenizer to the pieces that a corpus needs.

Half of the parameters of a small encoder can be embeddings of pieces that financial news never uses. Single characters
and their continuations always remain, so that any text can still be split into pieces.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

_CONTINUATION = "##"


def needed_pieces(tokenizer: Tokenizer, texts: Iterable[str], least: int) -> list[int]:
    """Returns the vocabulary ids to keep, in ascending order.

    Kept are pieces that occur at least ``least`` times in the texts, special tokens, and pieces of one character.

    Args:
        tokenizer: a WordPiece tokenizer.
        texts: the corpus.
        least: occurrences that a piece needs.
    """
    counts: Counter[int] = Counter()
    for encoding in tokenizer.encode_batch(list(texts)):
        counts.update(encoding.ids)
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    return sorted(
        index
        for piece, index in tokenizer.get_vocab().items()
        if counts[index] >= least or piece in special or len(piece.removeprefix(_CONTINUATION)) == 1
    )


def trimmed_tokenizer(path: Path, kept: Sequence[int]) -> str:
    """Returns the JSON of a tokenizer with only the ``kept`` pieces, numbered in their order.

    Args:
        path: tokenizer.json of a WordPiece tokenizer.
        kept: vocabulary ids, with those of the special tokens.
    """
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    new_ids = {old: new for new, old in enumerate(kept)}
    vocabulary: dict[str, int] = content["model"]["vocab"]
    content["model"]["vocab"] = {piece: new_ids[old] for piece, old in vocabulary.items() if old in new_ids}
    for token in content["added_tokens"]:
        token["id"] = new_ids[token["id"]]
    _renumber(content["post_processor"], new_ids)
    return json.dumps(content, ensure_ascii=False)


def _renumber(post_processor: dict[str, Any], new_ids: dict[int, int]) -> None:
    """Replaces the ids of special tokens in a post-processor, in place: that of RoBERTa, or a template."""
    for key in ("sep", "cls"):
        if key in post_processor:
            token, old = post_processor[key]
            post_processor[key] = [token, new_ids[old]]
    for token in post_processor.get("special_tokens", {}).values():
        token["ids"] = [new_ids[old] for old in token["ids"]]
