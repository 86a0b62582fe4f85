"""The model is measured: tokens and padding, time and size of a run, and what it runs on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from prometheus_client import REGISTRY

from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.sentences import TextDocument
from riskwire.settings import InferenceSettings

TEXTS = ("Acme plunges on fraud probe", "Globex gains")


def value(name: str, /, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(("precision", "pads"), [("int8", False), ("fp16", True)])
async def test_tokens_of_texts_and_of_padding_are_told_apart(
    tiny_bundle: Path, precision: Literal["int8", "fp16"], pads: bool
) -> None:
    """A quantised model reads each sentence alone and unpadded; the other one pads them to a multiple of 16 tokens."""
    before = {kind: value("riskwire_inference_tokens_total", kind=kind) for kind in ("text", "padding")}
    runs = value("riskwire_inference_run_seconds_count")
    async with Engine(Bundle.load(tiny_bundle), InferenceSettings(precision=precision)) as engine:
        await engine.predict([TextDocument.of_article(text, "") for text in TEXTS])
        bundle, provider = engine.bundle.label, engine.session.provider
    text, padding = (value("riskwire_inference_tokens_total", kind=kind) - old for kind, old in before.items())
    assert text >= sum(len(text.split()) for text in TEXTS)
    assert (padding > 0) == pads
    assert value("riskwire_inference_run_seconds_count") > runs
    device = {"device": "cpu", "provider": provider, "precision": precision, "bundle": bundle}
    assert value("riskwire_inference_device_info", **device) == 1
    assert provider == "CPUExecutionProvider"
