"""A trained model as ONNX: the plain fp32 graph, its fused form, and fp16."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import onnxruntime
import torch
import transformers
from onnxconverter_common import float16
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from transformers import BertConfig

from riskwire_models.data.labels import HEADS
from riskwire_models.errors import ExportError
from riskwire_models.export.bundle import INPUTS
from riskwire_models.training.model import FourHeads

OPSET = 17
LEAST_HALF = 6e-08
GREATEST_HALF = 65504.0


def write_fp32(model: FourHeads, path: Path) -> Path:
    """The graph as traced, batch and tokens dynamic; torch's newer exporter writes one that is not fused."""
    model.eval()
    ids = torch.randint(0, 1000, (2, 16))
    mask = torch.ones_like(ids)
    axes: dict[str, dict[int, str]] = {name: {0: "batch", 1: "tokens"} for name in INPUTS}
    axes |= {head: {0: "batch"} for head in HEADS}
    for head in ("entities", "target_sentiment"):
        axes[head][1] = "tokens"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (ids, mask),
            str(path),
            input_names=list(INPUTS),
            output_names=list(HEADS),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return path


def write_fused(source: Path, path: Path, config: BertConfig, *, whole_attention: bool) -> Path:
    """Attention, GELU and layer norms fused by onnxruntime's BERT optimiser.

    ``whole_attention`` takes the projections into the Attention operator (fastest in half precision); without it they
    stay MatMuls beside a MultiHeadAttention, where `quantise` can reach them. `ExportError` when the optimiser does
    not know the attention of this transformers: the graph would be right, but slow.
    """
    options = FusionOptions("bert")
    options.enable_embed_layer_norm = False
    options.use_multi_head_attention = not whole_attention
    fused = optimize_model(
        str(source),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        optimization_options=options,
        opt_level=0,
    )
    kind = "Attention" if whole_attention else "MultiHeadAttention"
    found = len(fused.get_nodes_by_op_type(kind))
    if found != config.num_hidden_layers:
        raise ExportError(
            f"onnxruntime {onnxruntime.__version__} fused {found} of {config.num_hidden_layers} attentions of"
            f" transformers {transformers.__version__}: use the versions that the train extra names"
        )
    fused.save_model_to_file(str(path))
    return path


def write_fp16(source: Path, path: Path) -> Path:
    """Half precision inside, int64 and float32 at the edges, so the file also runs on a CPU."""

    model = onnx.load(str(source))
    casts = {node.output[0] for node in model.graph.node if node.op_type == "Cast"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # weights below the least float16 become it, by the thousand
        half = float16.convert_float_to_float16(
            model, keep_io_types=True, min_positive_val=LEAST_HALF, max_finite_val=GREATEST_HALF
        )
    # The converter retypes what a Cast gives but leaves the Cast itself at float32.
    for node in half.graph.node:
        if node.op_type == "Cast" and node.output[0] in casts:
            for attribute in node.attribute:
                if attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
                    attribute.i = onnx.TensorProto.FLOAT16
    onnx.save(half, str(path))
    return path
