"""Makes a bundle of two Hugging Face checkpoints (``riskwire model export --sentiment DIR --ner DIR``).

The one classifies sequences (such as FinBERT), the other tokens (such as bert-base-NER). Each keeps its tokenizer. The
heads that neither has are missing in the bundle: then a mention has the sentiment of its sentence, and no level, events
or topics.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

from riskwire_models.data.encoding import load_tokenizer, truncate
from riskwire_models.data.labels import ENTITY_TAGS, ENTITY_TYPES, SENTIMENTS
from riskwire_models.errors import ExportError
from riskwire_models.evaluation.onnx_runner import OnnxRunner, count_batch_differences
from riskwire_models.evaluation.robustness import read_pairs
from riskwire_models.export.card import write_card
from riskwire_models.export.default_bundle import PRECISIONS, TOKENIZER, write_tokenizer
from riskwire_models.export.gate import check_batch_differences
from riskwire_models.export.label_schemes import EntityScheme, entity_scheme, sentiment_order
from riskwire_models.export.manifest import (
    PADDING_MULTIPLE,
    BaseModelEntry,
    BundleManifest,
    FileEntry,
    HeadEntry,
    SentimentModelEntry,
    file_entry,
    read_manifest,
    write_manifest,
)
from riskwire_models.export.onnx_graphs import fuse, trace, write_fp16
from riskwire_models.export.quantisation import write_int8

VERSION = "1.0.0"
#: Begins the names of the files of the second model.
SECOND = "sentiment."
#: Longest text of either model, in word pieces; longer sentences are read in windows.
LONGEST = 512
#: Largest difference of a logit between torch and the fp32 graph, as a part of the largest logit.
MAX_DIFFERENCE = 1e-3
#: Logit of a tag that the checkpoint does not know. fp16 holds it.
_NEVER = -1.0e4
#: By this much the first word of a name is less likely tagged B- than I-, in a scheme where a name may begin with I-.
#: So a name goes on as long as it can, and a new one begins where it must.
_BEGINNING = 0.05

Log = Callable[[str], None]


class _Sentiment(nn.Module):
    """The logits of a sequence classifier, in the order of `labels.SENTIMENTS`."""

    def __init__(self, model: Any, order: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self.order = list(order)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Returns logits [batch, 3]."""
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return torch.cat([logits[:, number : number + 1] for number in self.order], dim=1)


class _Entities(nn.Module):
    """The logits of a token classifier, in the order of `labels.ENTITY_TAGS`."""

    def __init__(self, model: Any, scheme: EntityScheme) -> None:
        super().__init__()
        self.model = model
        self.scheme = scheme

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Returns logits [batch, tokens, 9]."""
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        outside = _joined(logits, (self.scheme.outside,))
        tags = [outside]
        for kind in ENTITY_TYPES:
            beginning, inside = (
                _joined(logits, numbers) if numbers else torch.full_like(outside, _NEVER)
                for numbers in (self.scheme.beginning[kind], self.scheme.inside[kind])
            )
            if self.scheme.inside[kind]:
                beginning = torch.maximum(beginning, inside - _BEGINNING)
            tags += [beginning, inside]
        return torch.cat(tags, dim=2)


def _joined(logits: Tensor, numbers: Sequence[int]) -> Tensor:
    """Returns the logit [batch, tokens, 1] whose probability is the sum of those of several labels."""
    parts = [logits[:, :, number : number + 1] for number in numbers]
    return parts[0] if len(parts) == 1 else torch.logsumexp(torch.cat(parts, dim=2), dim=2, keepdim=True)


@dataclass(frozen=True, slots=True)
class _Exported:
    """A checkpoint as files in the bundle's folder.

    Attributes:
        agreement: share of sentences or word pieces with the same answer as torch, by precision.
        differing: word pieces or sentences whose logits depend on the batch, and how many were compared, by precision.
    """

    entry: SentimentModelEntry
    agreement: dict[str, float]
    differing: dict[str, tuple[int, int]]


def export_checkpoints(
    sentiment: Path, entities: Path, out: Path, *, name: str | None = None, threads: int = 2, log: Log = print
) -> BundleManifest:
    """Writes a bundle of two checkpoints to ``out``, and returns its manifest.

    Args:
        sentiment: folder of a sequence classifier, with its tokenizer.
        entities: folder of a token classifier, with its tokenizer.
        name: name of the bundle; None for the names of both folders.
        threads: CPU threads.
        log: receives progress lines.

    Raises:
        ExportError: a folder holds no such checkpoint, its labels are unknown, or its graph differs from torch.
        GateError: the results of a precision depend on the batch; ``out`` is not changed.
    """
    torch.set_num_threads(threads)
    classifier = _loaded(AutoModelForSequenceClassification, sentiment, "sequence")
    order = sentiment_order(_labels_of(classifier))
    tagger = _loaded(AutoModelForTokenClassification, entities, "token")
    scheme = entity_scheme(_labels_of(tagger))
    with tempfile.TemporaryDirectory(prefix="riskwire-export-") as staging:
        folder = Path(staging) / "bundle"
        folder.mkdir()
        first = _export_one(_Entities(tagger, scheme), "entities", entities, folder, "", threads, log)
        second = _export_one(_Sentiment(classifier, order), "sentiment", sentiment, folder, SECOND, threads, log)
        manifest = _described(name or f"{sentiment.resolve().name}-{entities.resolve().name}", first, second, scheme)
        write_manifest(folder, manifest)
        write_card(folder, manifest)
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.iterdir()):
            shutil.copyfile(file, out / file.name)
    return read_manifest(out)


def _loaded(kind: Any, folder: Path, what: str) -> Any:
    """Returns the classifier of a folder. Raises ExportError if the folder has none, or not all of its weights."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        model, info = kind.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(f"{folder} holds no {what} classifier of transformers: {error}") from error
    if missing := sorted(info["missing_keys"]):
        raise ExportError(f"{folder} holds no trained {what} classifier: its file lacks the weight {missing[0]}")
    if getattr(model.config, "problem_type", None) in ("regression", "multi_label_classification"):
        raise ExportError(f"{folder}: its labels do not exclude each other ({model.config.problem_type})")
    return model.eval()


def _labels_of(model: Any) -> dict[int, str]:
    return {int(number): str(label) for number, label in model.config.id2label.items()}


def _export_one(
    module: nn.Module, head: str, source: Path, folder: Path, prefix: str, threads: int, log: Log
) -> _Exported:
    """Writes the tokenizer and the graphs of a checkpoint, and compares them with torch on sentences."""
    module.eval()  # torch's exporter sets the mode again that it found
    config: Any = module.model.config
    length = _max_length(config)
    tokenizer_file = folder / f"{prefix}{TOKENIZER}"
    _write_tokenizer(source, tokenizer_file)
    log(f"exporting {source} ({config.model_type}, {length} word pieces)")
    fp32, traced = folder / "fp32.onnx", folder / "traced.onnx"
    trace(module, traced, int(config.vocab_size), (head,))
    if fuse(traced, fp32, config) != config.num_hidden_layers:
        log(f"onnxruntime does not fuse the attention of {config.model_type}: the bundle is right, but slower")
    rows = _rows(tokenizer_file, length)
    expected = _torch_logits(module, rows)
    _check_parity(fp32, head, rows, expected, source, threads)
    files: dict[str, FileEntry] = {}
    agreement: dict[str, float] = {}
    differing: dict[str, tuple[int, int]] = {}
    for precision, (file, device) in PRECISIONS.items():
        path = folder / f"{prefix}{file}"
        (write_int8 if precision == "int8" else write_fp16)(fp32, path)
        files[precision] = file_entry(folder, path.name, "cpu" if device == "cpu" else "cuda")
        runner = OnnxRunner(path, threads)
        differing[precision] = count_batch_differences(runner, rows)
        check_batch_differences(f"{source} in {precision}", *differing[precision])
        agreement[precision] = _agreement(expected, [logits[head] for logits in runner.predict(rows)])
        log(f"{precision}: {100 * agreement[precision]:.1f} % of the answers are those of torch")
    fp32.unlink()
    traced.unlink()
    base = BaseModelEntry(
        name=source.resolve().name, licence="see the checkpoint", source=f"{config.model_type} checkpoint"
    )
    entry = SentimentModelEntry(
        max_length=length, tokenizer=file_entry(folder, tokenizer_file.name), files=files, base=base
    )
    return _Exported(entry, agreement, differing)


def _max_length(config: Any) -> int:
    """Returns the most word pieces of a sentence, a multiple of the padding.

    The positions of RoBERTa and its kin begin after the id of the padding.
    """
    positions = int(config.max_position_embeddings)
    if config.model_type not in ("bert", "distilbert", "electra", "albert", "deberta-v2"):
        positions -= int(config.pad_token_id or 0) + 1
    return min(LONGEST, positions) // PADDING_MULTIPLE * PADDING_MULTIPLE


def _write_tokenizer(source: Path, path: Path) -> None:
    """Writes the tokenizer of a checkpoint as one file. Raises ExportError if it cannot be used."""
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(source, local_files_only=True, use_fast=True)
        tokenizer.backend_tokenizer.save(str(path))
    except (OSError, ValueError, AttributeError) as error:
        raise ExportError(f"{source} has no tokenizer that can be written as one file: {error}") from error
    write_tokenizer(path, path.parent, path.name)
    encoding = load_tokenizer(path).encode("Acme fell")
    marks = encoding.special_tokens_mask
    if marks[:1] != [1] or marks[-1:] != [1] or sum(marks) != 2:
        raise ExportError(f"the tokenizer of {source} does not put one special piece before and one after a sentence")


def _rows(tokenizer_file: Path, length: int) -> list[list[int]]:
    """Returns the word pieces of the sentences on which graphs are compared."""
    tokenizer = load_tokenizer(tokenizer_file)
    texts = [text for pair in read_pairs() for text in (pair.adverse, pair.averted)]
    return [truncate(encoding.ids, encoding.offsets, length)[0] for encoding in tokenizer.encode_batch(texts)]


@torch.no_grad()
def _torch_logits(module: nn.Module, rows: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
    return [module(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.long))[0].numpy() for row in rows]


def _check_parity(
    path: Path,
    head: str,
    rows: Sequence[Sequence[int]],
    expected: Sequence[NDArray[np.float32]],
    source: Path,
    threads: int,
) -> None:
    """Raises ExportError if the logits of a graph are not those of torch."""
    for row, logits in zip(expected, OnnxRunner(path, threads).predict(rows), strict=True):
        known = row > _NEVER / 2
        difference = float(np.abs(logits[head] - row)[known].max())
        if not difference <= MAX_DIFFERENCE * max(1.0, float(np.abs(row[known]).max())):
            raise ExportError(f"the graph of {source} differs from torch by {difference:.4f} in a logit")


def _agreement(expected: Sequence[NDArray[np.float32]], logits: Sequence[NDArray[np.float32]]) -> float:
    """Returns the share of answers that are the same: the label of a sentence, or of a word piece."""
    same = [
        np.atleast_1d(row.argmax(axis=-1) == known.argmax(axis=-1)) for known, row in zip(expected, logits, strict=True)
    ]
    return round(float(np.concatenate(same).mean()), 4)


def _described(name: str, first: _Exported, second: _Exported, scheme: EntityScheme) -> BundleManifest:
    """Returns the manifest of a bundle whose first model is the token classifier."""
    sums = {
        precision: [a + b for a, b in zip(first.differing[precision], second.differing[precision], strict=True)]
        for precision in PRECISIONS
    }
    missing = sorted(set(ENTITY_TYPES) - set(scheme.types))
    notes = [
        f"names: {first.entry.base.name}; sentiment: {second.entry.base.name}",
        "a mention has the sentiment of its sentence: no head says how the sentence speaks of it",
        "no head for level, event types and topics: mentions have none, and nothing is called adverse",
        "probabilities are those of the checkpoints: no temperature was fitted",
    ]
    if missing:
        notes.append(f"no names of the type {', '.join(missing)}: the checkpoint has no such label")
    return BundleManifest(
        name=re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-")[:100] or "checkpoints",
        version=VERSION,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        languages=("en",),
        max_length=first.entry.max_length,
        heads={"sentiment": HeadEntry(labels=SENTIMENTS), "entities": HeadEntry(labels=ENTITY_TAGS)},
        tokenizer=first.entry.tokenizer,
        files=first.entry.files,
        base=first.entry.base,
        training=(),
        scores={
            "agreement": {"entities": first.agreement, "sentiment": second.agreement},
            "invariance": {
                precision: {"differing": counts[0], "compared": counts[1]} for precision, counts in sums.items()
            },
        },
        seed=0,
        command="riskwire model export --sentiment DIR --ner DIR --out DIR",
        notes=tuple(notes),
        sentiment_model=second.entry,
    )
