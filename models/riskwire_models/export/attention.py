"""MPNet's encoder as onnxruntime computes it fastest: with its attention as one operator.

MPNet adds a relative position bias to the attention of every layer. onnxruntime's optimiser does not recognise that
attention, so it is exported as ``com.microsoft.MultiHeadAttention`` with the bias as an input.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from riskwire_models.training.model import MultiHeadModel


class _MultiHeadAttention(torch.autograd.Function):
    """Attention with a position bias; becomes one operator in an exported graph."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, bias: Tensor, heads: int) -> Tensor:
        """Returns softmax(query · key / √size + bias) · value over the positions that the mask keeps.

        Args:
            query: [batch, tokens, hidden], as ``key`` and ``value``.
            mask: int32 [batch, tokens]; 0 for padding.
            bias: [1, heads, tokens, tokens].
            heads: number of heads into which ``hidden`` is divided.
        """
        batch, tokens, hidden = query.shape

        def divided(states: Tensor) -> Tensor:
            return states.view(batch, tokens, heads, hidden // heads).transpose(1, 2)

        scores = divided(query) @ divided(key).transpose(-1, -2) / (hidden // heads) ** 0.5 + bias
        scores = scores.masked_fill(mask[:, None, None, :] == 0, torch.finfo(scores.dtype).min)
        return (scores.softmax(-1) @ divided(value)).transpose(1, 2).reshape(batch, tokens, hidden)

    @staticmethod
    def symbolic(g: Any, query: Any, key: Any, value: Any, mask: Any, bias: Any, heads: int) -> Any:
        """Returns the operator of the exported graph; it has no bias of the projections."""
        no_projection_bias = g.op("prim::Constant")
        no_projection_bias.setType(torch._C.OptionalType.ofTensor())
        output = g.op(
            "com.microsoft::MultiHeadAttention", query, key, value, no_projection_bias, mask, bias, num_heads_i=heads
        )
        return output.setType(query.type())


class MpnetEncoder(nn.Module):
    """The encoder of an MPNet model for export; computes what transformers' `MPNetModel` computes in evaluation."""

    def __init__(self, encoder: Any) -> None:
        """Takes over the layers of an `MPNetModel`."""
        super().__init__()
        self.config = encoder.config
        self.embeddings = encoder.embeddings
        self.encoder = encoder.encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor) -> BaseModelOutput:
        """Returns the hidden states [batch, tokens, hidden] of the last layer.

        Args:
            input_ids: int64 [batch, tokens].
            attention_mask: int64 [batch, tokens]; 1 for word pieces, 0 for padding.
            position_ids: int64 [batch, tokens].
        """
        states = self.embeddings(input_ids=input_ids, position_ids=position_ids)
        bias = self.encoder.compute_position_bias(states[:1])
        mask = attention_mask.to(torch.int32)
        for layer in self.encoder.layer:
            projections = layer.attention.attn
            context = _MultiHeadAttention.apply(
                projections.q(states),
                projections.k(states),
                projections.v(states),
                mask,
                bias,
                self.config.num_attention_heads,
            )
            states = layer.attention.LayerNorm(projections.o(context) + states)
            states = layer.output(layer.intermediate(states), states)
        return BaseModelOutput(last_hidden_state=states)


def replace_encoder(model: MultiHeadModel) -> MultiHeadModel:
    """Returns a copy of a model whose MPNet encoder is an `MpnetEncoder`."""
    exported = copy.copy(model)
    exported._modules = dict(model._modules)
    encoder: Any = MpnetEncoder(model.encoder)
    exported._modules["encoder"] = encoder
    return exported.eval()
