"""Measures the files of a finished bundle, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from riskwire_models.data.catalogue import DEFAULT_TRAINING
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.encode import load_tokenizer
from riskwire_models.evaluation.evaluate import never_seen_report, read_all, report
from riskwire_models.export.bundle import read_bundle
from riskwire_models.training.runner import Runner


def measure_bundle(folder: Path, data: Path, *, threads: int = 2) -> Iterator[tuple[str, str, str, str, str]]:
    """Rows of (precision, head, set, n, figures) on the held-out splits and the never-seen sets."""
    bundle = read_bundle(folder)
    tokenizer = load_tokenizer(folder / bundle.tokenizer.path)
    test = training_corpus(data, DEFAULT_TRAINING, bundle.seed)["test"]
    for precision, entry in bundle.files.items():
        runner = Runner(folder / entry.path, threads)
        measured = {
            **report(read_all(runner, tokenizer, test)),
            "never seen": never_seen_report(runner, tokenizer, data),
        }
        for head, sets in measured.items():
            for name, figures in sets.items():
                shown = " ".join(f"{key}={value:.4f}" for key, value in figures.items() if key != "n")
                yield precision, head, name, str(figures["n"]), shown
