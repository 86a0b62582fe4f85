"""Bundles of small models with random weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from riskwire_models.export.default_bundle import PRECISIONS, describe_bundle, write_tokenizer
from riskwire_models.export.manifest import write_manifest
from riskwire_models.export.onnx_graphs import write_fp32, write_fused
from riskwire_models.export.quantisation import write_int8
from riskwire_models.training.base import BASE_MODELS
from small_models.encoder import small_model
from small_models.tokenizers_of import small_tokenizer

TEMPERATURES = {"sentiment": 1.2, "target_sentiment": 0.8, "topics": 0.9, "level": 1.5, "events": 0.7}


def write_small_bundle(folder: Path, kind: str, words: Iterable[str], *, seed: int = 1) -> Path:
    """Writes an int8 bundle of a small model, whose tokenizer knows the words, and returns its folder."""
    tokenizer = small_tokenizer(kind, words)
    model = small_model(kind, seed=seed, vocabulary=tokenizer.get_vocab_size(), size=64)
    config = model.encoder.config
    folder.mkdir(parents=True)
    traced = write_fp32(model, folder / "traced.onnx")
    fused = write_fused(traced, folder / "fused.onnx", config)
    write_int8(fused, folder / PRECISIONS["int8"][0])
    traced.unlink()
    fused.unlink()
    tokenizer.save(str(folder / "source.json"))
    write_tokenizer(folder / "source.json", folder)
    manifest = describe_bundle(
        folder,
        name="small",
        base=BASE_MODELS["minilm" if kind == "bert" else "mpnet"],
        encoder=config.to_dict(),
        temperatures=TEMPERATURES,
        thresholds={"level": 0.5, "events": 0.5},
        training=[],
        scores={},
        seed=17,
        command="none",
    )
    write_manifest(folder, manifest)
    return folder
