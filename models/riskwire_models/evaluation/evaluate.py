"""Measures the ONNX files of a finished bundle, without torch (``riskwire model evaluate``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from riskwire_models.data.catalogue import DEFAULT_TRAINING
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.encoding import load_tokenizer
from riskwire_models.evaluation.onnx_runner import OnnxRunner
from riskwire_models.evaluation.scores import held_out_scores, never_seen_scores, predict
from riskwire_models.export.manifest import read_manifest


def evaluate_bundle(folder: Path, data: Path, *, threads: int = 2) -> Iterator[tuple[str, str, str, str, str]]:
    """Yields (precision, head, set, n, scores) for the held-out splits and the sets that are never trained on."""
    manifest = read_manifest(folder)
    tokenizer = load_tokenizer(folder / manifest.tokenizer.path)
    test = training_corpus(data, DEFAULT_TRAINING, manifest.seed)["test"]
    for precision, entry in manifest.files.items():
        runner = OnnxRunner(folder / entry.path, threads)
        measured = {
            **held_out_scores(predict(runner, tokenizer, test)),
            "never seen": never_seen_scores(runner, tokenizer, data),
        }
        for head, scores_by_set in measured.items():
            for name, scores in scores_by_set.items():
                text = " ".join(f"{key}={value:.4f}" for key, value in scores.items() if key != "n")
                yield precision, head, name, str(scores["n"]), text
