"""Small Hugging Face checkpoints with random weights: a sequence classifier and a token classifier."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    RobertaConfig,
    RobertaForTokenClassification,
)

from small_models.tokenizers_of import small_tokenizer, vocabulary_of


def _write(folder: Path, kind: Any, config: Any, labels: Sequence[str], seed: int) -> Path:
    torch.manual_seed(seed)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    model = kind(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder


def _sizes(vocabulary: int, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 140,
        "num_labels": len(labels),
    }


def write_classifier(folder: Path, words: Iterable[str], labels: Sequence[str], *, seed: int = 1) -> Path:
    """Writes an uncased BERT sequence classifier, with its vocabulary as a text file, as FinBERT has it."""
    vocabulary = vocabulary_of("bert", [word.lower() for word in words])
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 128}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return _write(folder, BertForSequenceClassification, BertConfig(**_sizes(len(vocabulary), labels)), labels, seed)


def write_tagger(
    folder: Path, words: Iterable[str], labels: Sequence[str], *, kind: str = "bert", seed: int = 2
) -> Path:
    """Writes a cased token classifier with its tokenizer as one file.

    Args:
        kind: ``bert``, or ``roberta``, whose positions begin after the id of the padding.
    """
    letters = [mark + letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for mark in ("", "##")]
    tokenizer = small_tokenizer("bert" if kind == "bert" else "mpnet", [*letters, *words], lowercase=False)
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 128}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    sizes = _sizes(tokenizer.get_vocab_size(), labels)
    if kind == "bert":
        return _write(folder, BertForTokenClassification, BertConfig(**sizes), labels, seed)
    return _write(folder, RobertaForTokenClassification, RobertaConfig(**sizes, pad_token_id=1), labels, seed)
