"""Small encoders with random weights, of the two kinds from which training starts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, MPNetConfig, MPNetModel, PreTrainedModel

from riskwire_models.training.model import MultiHeadModel
from small_models.tokenizers_of import small_tokenizer


def small_encoder(kind: str, *, vocabulary: int = 300, layers: int = 2, size: int = 24) -> PreTrainedModel:
    """Returns an encoder with random weights.

    Args:
        kind: ``bert`` or ``mpnet``.
        vocabulary: number of word pieces.
        layers: number of layers.
        size: size of the hidden states.
    """
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": size,
        "num_hidden_layers": layers,
        "num_attention_heads": 3 if size % 3 == 0 else 4,
        "intermediate_size": 2 * size,
        "max_position_embeddings": 140,
        "attn_implementation": "eager",
    }
    if kind == "bert":
        return BertModel(BertConfig(**sizes), add_pooling_layer=False)
    return MPNetModel(MPNetConfig(**sizes, pad_token_id=1), add_pooling_layer=False)


def small_model(
    kind: str = "bert", *, seed: int = 1, vocabulary: int = 300, layers: int = 2, size: int = 24
) -> MultiHeadModel:
    """Returns a model in evaluation mode whose parameters are all random, the biases too."""
    torch.manual_seed(seed)
    model = MultiHeadModel(small_encoder(kind, vocabulary=vocabulary, layers=layers, size=size)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def write_base(folder: Path, kind: str, words: Iterable[str], *, layers: int = 2, size: int = 24) -> Path:
    """Writes a small encoder and its tokenizer as a pretrained encoder of transformers, and returns the folder."""
    torch.manual_seed(3)
    tokenizer = small_tokenizer(kind, words)
    small_encoder(kind, vocabulary=tokenizer.get_vocab_size(), layers=layers, size=size).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
