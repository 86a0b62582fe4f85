"""The model: an encoder of transformers (BERT or MPNet) with six heads, all computed in one pass over a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from riskwire_models.data.labels import ENTITY_TAGS, EVENT_TYPES, LEVELS, SENTIMENTS, TOPICS
from riskwire_models.errors import CheckpointError

#: First bias of the events. Most types are absent in most texts; from even odds the first epoch would only learn that.
#: Source: Lin et al. (2017), Focal Loss for Dense Object Detection, section 3.3.
EVENT_BIAS = -4.0
#: The logits of the six heads, in the order of `labels.HEADS`.
Outputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


class MultiHeadModel(nn.Module):
    """An encoder with six heads. ``forward`` returns their logits in the order of `labels.HEADS`."""

    def __init__(self, encoder: PreTrainedModel) -> None:
        """Builds untrained heads on top of an encoder."""
        super().__init__()
        size, dropout = encoder.config.hidden_size, encoder.config.hidden_dropout_prob
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.sentiment = _sentence_head(size, dropout, len(SENTIMENTS))
        self.entities = nn.Linear(size, len(ENTITY_TAGS))
        self.target_token = nn.Linear(size, size)
        self.target_sentence = nn.Linear(2 * size, size)
        self.target = nn.Linear(size, len(SENTIMENTS))
        self.topics = _sentence_head(size, dropout, len(TOPICS))
        self.risk_token = nn.Linear(size, size)
        self.risk_sentence = nn.Linear(2 * size, size)
        self.level = nn.Linear(size, len(LEVELS))
        self.events = nn.Linear(size, len(EVENT_TYPES))
        nn.init.constant_(self.events.bias, EVENT_BIAS)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Outputs:
        """Returns the logits of all heads.

        Args:
            input_ids: int64 [batch, tokens].
            attention_mask: int64 [batch, tokens]; 1 for word pieces, 0 for padding.

        Returns:
            sentiment [batch, 3], entities [batch, tokens, 9], target_sentiment [batch, tokens, 3], topics [batch, 20],
            level [batch, tokens, 4], events [batch, tokens, 42]. The events at token 0 belong to no mention.
        """
        states = self.states(input_ids, attention_mask)
        sentence, tokens = self._dropped_out(states, attention_mask)
        toward = torch.tanh(self.target_token(tokens) + self.target_sentence(sentence)[:, None])
        level, events = self._risk(sentence, tokens)
        return (
            self.sentiment(sentence),
            self.entities(tokens),
            self.target(self.dropout(toward)),
            self.topics(sentence),
            level,
            events,
        )

    def states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Returns the last hidden states of the encoder [batch, tokens, hidden]."""
        states: Tensor = self.encoder(**self._encoder_inputs(input_ids, attention_mask)).last_hidden_state
        return states

    def risk_of_states(self, states: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the logits of ``level`` and ``events``, as `forward` does, from the states of the encoder."""
        return self._risk(*self._dropped_out(states, attention_mask))

    def _dropped_out(self, states: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the state of each sentence [batch, 2 * hidden] and those of its tokens, after dropout."""
        mask = attention_mask[:, :, None].to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        return self.dropout(torch.cat([states[:, 0], mean], dim=-1)), self.dropout(states)

    def _risk(self, sentence: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        risk = self.dropout(torch.tanh(self.risk_token(tokens) + self.risk_sentence(sentence)[:, None]))
        return self.level(risk), self.events(risk)

    def restore(self, weights: dict[str, Tensor]) -> None:
        """Loads the weights of a checkpoint. Raises CheckpointError if they belong to a different model."""
        try:
            self.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(
                "the checkpoint in the work folder belongs to a different model, perhaps of another recipe or riskwire"
                f" version: train in an empty folder ({' '.join(str(error).split())[:200]} …)"
            ) from error

    def _encoder_inputs(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Returns the inputs of the encoder. MPNet gets its positions too: it would count them by its padding id."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.encoder.config.model_type == "mpnet":
            positions = attention_mask.cumsum(1) * attention_mask + self.encoder.config.pad_token_id
            inputs["position_ids"] = positions
        return inputs


def _sentence_head(size: int, dropout: float, labels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2 * size, size), nn.Tanh(), nn.Dropout(dropout), nn.Linear(size, labels))


def untrained_model(
    folder: Path, *, layers: Sequence[int] | None = None, pieces: Sequence[int] | None = None
) -> MultiHeadModel:
    """Returns the base encoder of a folder with untrained heads.

    Args:
        layers: numbers of the encoder's layers to keep, from 0; None for all.
        pieces: vocabulary ids to keep, in the order of their new ids; None for all.
    """
    # onnxruntime 1.32 fuses only the graph of "eager" attention (`onnx_graphs.write_fused`).
    encoder: Any = AutoModel.from_pretrained(
        folder, add_pooling_layer=False, attn_implementation="eager", dtype=torch.float32, local_files_only=True
    )
    if layers is not None:
        encoder.encoder.layer = nn.ModuleList([encoder.encoder.layer[number] for number in layers])
        encoder.config.num_hidden_layers = len(layers)
    if pieces is not None:
        embeddings = encoder.embeddings.word_embeddings
        kept_embeddings = nn.Embedding(len(pieces), embeddings.embedding_dim)
        kept_embeddings.weight = nn.Parameter(embeddings.weight.detach()[list(pieces)].clone())
        encoder.embeddings.word_embeddings = kept_embeddings
        encoder.config.vocab_size = len(pieces)
    return MultiHeadModel(encoder)
