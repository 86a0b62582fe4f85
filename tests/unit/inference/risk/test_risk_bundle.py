"""A bundle whose heads `level` and `events` cannot be decoded is refused; the error names the value and the place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from riskwire.errors import BundleError
from riskwire.inference.model.bundle import LEVEL_LABELS, Bundle
from riskwire.inference.model.session import ModelSession
from riskwire.records import EVENT_TYPES
from riskwire_models.data.labels import HEADS

LEVELS = ("neutral", "mild", "material", "favourable")


@pytest.fixture
def changed_bundle(tiny_bundle: Path, tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that copies the tiny bundle, changes fields of one of its heads, and returns the folder."""

    def change(head: str, **fields: Any) -> Path:
        folder = Path(shutil.copytree(tiny_bundle, tmp_path / "changed"))
        file = folder / "bundle.json"
        manifest = json.loads(file.read_text())
        manifest["heads"][head] |= fields
        file.write_text(json.dumps(manifest))
        return folder

    return change


def test_training_and_inference_have_the_same_labels_in_the_same_order() -> None:
    assert HEADS["level"] == LEVEL_LABELS
    assert HEADS["events"] == EVENT_TYPES


def test_the_thresholds_of_the_bundle_are_read(tiny_bundle: Path) -> None:
    heads = Bundle.load(tiny_bundle).manifest.heads
    assert heads.level is not None
    assert heads.events is not None
    assert (heads.adverse_from, heads.events.events_from) == (0.45, 0.4)
    assert heads.events.labels == EVENT_TYPES


@pytest.mark.parametrize("threshold", [None, ...], ids=["null", "absent"])
def test_without_a_threshold_one_half_counts(changed_bundle: Callable[..., Path], threshold: object) -> None:
    folder = changed_bundle("level", threshold=None)
    file = folder / "bundle.json"
    manifest = json.loads(file.read_text())
    for head in ("level", "events"):
        manifest["heads"][head]["threshold"] = None
        if threshold is ...:
            del manifest["heads"][head]["threshold"]
    file.write_text(json.dumps(manifest))
    heads = Bundle.load(folder).manifest.heads
    assert heads.events is not None
    assert (heads.adverse_from, heads.events.events_from) == (0.5, 0.5)


def test_a_bundle_of_version_0_1_has_no_levels_and_no_threshold(four_head_bundle: Path) -> None:
    heads = Bundle.load(four_head_bundle).manifest.heads
    assert (heads.level, heads.events, heads.adverse_from) == (None, None, None)
    assert ModelSession(Bundle.load(four_head_bundle))


@pytest.mark.parametrize(
    ("head", "fields", "message"),
    [
        (
            "level",
            {"labels": LEVELS[::-1]},
            r"heads\.level\.labels: .*must be neutral, mild, material, favourable, not",
        ),
        ("level", {"labels": LEVELS[:3]}, r"heads\.level\.labels: .*not neutral, mild, material \(got"),
        ("level", {"threshold": 1.5}, r"heads\.level\.threshold: .*less than 1 \(got 1\.5\)"),
        ("level", {"threshold": 0}, r"heads\.level\.threshold: .*greater than 0 \(got 0\)"),
        ("level", {"threshold": float("nan")}, r"heads\.level\.threshold: .* \(got nan\)"),
        ("level", {"threshold": "high"}, r"heads\.level\.threshold: .*valid number.* \(got 'high'\)"),
        ("level", {"temperature": 0}, r"heads\.level\.temperature: .*greater than 0 \(got 0\)"),
        ("events", {"labels": EVENT_TYPES[:-1]}, r"heads\.events\.labels: .*must be the 42 event types, not 41 labels"),
        (
            "events",
            {"labels": ("insolvency", *EVENT_TYPES[1:])},
            r"heads\.events\.labels: .*label 0 must be bankruptcy, not insolvency",
        ),
        ("events", {"threshold": -0.1}, r"heads\.events\.threshold: .*greater than 0 \(got -0\.1\)"),
    ],
)
def test_the_error_for_an_unusable_head_names_the_field_and_its_value(
    changed_bundle: Callable[..., Path], head: str, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError, match=rf"changed/bundle\.json: {message}"):
        Bundle.load(changed_bundle(head, **fields))


def with_model(folder: Path, model: bytes) -> Bundle:
    """Puts a model into a copied bundle as its int8 file, and loads the bundle."""
    (folder / "model.int8.onnx").write_bytes(model)
    file = folder / "bundle.json"
    manifest = json.loads(file.read_text())
    manifest["files"]["int8"]["sha256"] = sha256(model).hexdigest()
    file.write_text(json.dumps(manifest))
    return Bundle.load(folder)


def test_a_model_without_the_outputs_of_the_heads_is_refused(
    changed_bundle: Callable[..., Path], four_head_bundle: Path
) -> None:
    bundle = with_model(changed_bundle("level"), (four_head_bundle / "model.int8.onnx").read_bytes())
    message = (
        r"model\.int8\.onnx: the outputs of the model should be "
        "entities, events, level, sentiment, target_sentiment, topics, "
        "but are entities, sentiment, target_sentiment, topics"
    )
    with pytest.raises(BundleError, match=message):
        ModelSession(bundle)


def test_a_model_with_another_number_of_levels_is_refused(
    changed_bundle: Callable[..., Path], tiny_bundle: Path
) -> None:
    """The output that the model calls `level` has the three logits of `target_sentiment`."""
    import onnx

    model = onnx.load(str(tiny_bundle / "model.int8.onnx"))
    renamed = {"level": "events_of_old", "target_sentiment": "level"}
    for value in model.graph.output:
        value.name = renamed.get(value.name, value.name)
    for node in model.graph.node:
        node.output[:] = [renamed.get(name, name) for name in node.output]
        node.input[:] = [renamed.get(name, name) for name in node.input]
    duplicate = onnx.helper.make_node("Identity", ["level"], ["target_sentiment"])
    model.graph.node.append(duplicate)
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("target_sentiment", onnx.TensorProto.FLOAT, ["batch", "length", 3])
    )
    bundle = with_model(changed_bundle("level"), model.SerializeToString())
    message = r"model\.int8\.onnx: the output level of the model should have the shape .*'tokens', 4\].*'length', 3"
    with pytest.raises(BundleError, match=message):
        ModelSession(bundle)
