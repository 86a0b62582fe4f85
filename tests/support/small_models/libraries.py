"""Skips tests that need the libraries of the train extra, which the development environment does not install."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def missing_libraries(*names: str) -> list[str]:
    """Returns those of the named libraries that are not installed."""
    return [name for name in names if find_spec(name) is None]


def skip_without(*names: str) -> pytest.MarkDecorator:
    """Returns the mark of a test that needs the named libraries."""
    missing = missing_libraries(*names)
    return pytest.mark.skipif(
        bool(missing), reason=f'{", ".join(missing)} not installed: pip install "riskwire[train]"'
    )


#: Whether a model can be trained and exported here.
CAN_TRAIN = not missing_libraries("torch", "transformers", "peft", "seqeval", "tensorboard", "onnxconverter_common")
needs_training = skip_without("torch", "transformers", "peft", "seqeval", "tensorboard", "onnxconverter_common")
needs_metrics = skip_without("seqeval", "sklearn")
