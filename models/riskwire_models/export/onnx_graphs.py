"""Writes a trained model as ONNX graphs: traced fp32, fused fp32, and fp16."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import onnxruntime
import torch
import transformers
from onnxconverter_common import float16
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from torch import nn
from transformers import PretrainedConfig

from riskwire_models.data.labels import HEADS, TOKEN_HEADS
from riskwire_models.errors import ExportError
from riskwire_models.export.attention import replace_encoder
from riskwire_models.export.manifest import GRAPH_INPUTS
from riskwire_models.export.weights import name_joined_biases, name_weights
from riskwire_models.training.model import MultiHeadModel

OPSET = 17
#: Smallest positive and largest finite value of float16, as the converter clips to them.
MIN_FP16 = 6e-08
MAX_FP16 = 65504.0


def write_fp32(model: MultiHeadModel, path: Path) -> Path:
    """Exports the model to an ONNX file by tracing, in fp32 and without fused operators, and returns the path.

    The numbers of sentences (`batch`) and of tokens are dynamic. Each head is an output with one row per sentence;
    those in `TOKEN_HEADS` have one per token. The model remains in evaluation mode. The encoder of an
    MPNet model is replaced by `attention.MpnetEncoder`, whose attention is already one operator.
    """
    model.eval()
    if model.encoder.config.model_type == "mpnet":
        model = replace_encoder(model)
    trace(model, path, model.encoder.config.vocab_size, tuple(HEADS))
    name_weights(path, model)
    return path


def trace(model: nn.Module, path: Path, vocabulary: int, heads: Sequence[str]) -> None:
    """Writes a module that maps `GRAPH_INPUTS` to the logits of heads as an fp32 ONNX file.

    Args:
        vocabulary: number of word pieces.
        heads: names of the outputs.
    """
    ids = torch.randint(0, vocabulary, (2, 16))
    mask = torch.ones_like(ids)
    axes: dict[str, dict[int, str]] = {name: {0: "batch", 1: "tokens"} for name in GRAPH_INPUTS}
    axes |= {head: {0: "batch", 1: "tokens"} if head in TOKEN_HEADS else {0: "batch"} for head in heads}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (ids, mask),
            str(path),
            input_names=list(GRAPH_INPUTS),
            output_names=list(heads),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,  # onnxruntime does not fuse the graph that torch's newer exporter writes
        )


def write_fused(source: Path, path: Path, config: PretrainedConfig) -> Path:
    """Writes a graph with attention, GELU and layer norms fused by onnxruntime's BERT optimiser.

    The projections of the attention remain MatMuls, so that `quantisation` can convert them.

    Args:
        source: the traced graph.
        path: the file to write.
        config: configuration of the encoder.

    Raises:
        ExportError: the optimiser does not recognise the attention of the installed transformers. The graph would be
            correct, but slow.
    """
    fused_count = fuse(source, path, config)
    if fused_count != config.num_hidden_layers:
        raise ExportError(
            f"onnxruntime {onnxruntime.__version__} fused {fused_count} of {config.num_hidden_layers} attentions of"
            f" transformers {transformers.__version__}: use the versions that the train extra names"
        )
    name_joined_biases(path)
    return path


def fuse(source: Path, path: Path, config: PretrainedConfig) -> int:
    """Writes a graph as onnxruntime's BERT optimiser fuses it, and returns the number of attentions that it fused."""
    options = FusionOptions("bert")
    options.enable_embed_layer_norm = False
    options.use_multi_head_attention = True
    options.enable_attention = config.model_type != "mpnet"  # its attention is one operator already
    fused = optimize_model(
        str(source),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        optimization_options=options,
        opt_level=0,
    )
    fused.save_model_to_file(str(path))
    return len(fused.get_nodes_by_op_type("MultiHeadAttention"))


def write_fp16(source: Path, path: Path) -> Path:
    """Writes the graph in half precision; inputs stay int64 and outputs float32, so that it also runs on a CPU."""
    model = onnx.load(str(source))
    casts = {node.output[0] for node in model.graph.node if node.op_type == "Cast"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one warning for each of the thousands of weights that are clipped to MIN_FP16
        half = float16.convert_float_to_float16(
            model, keep_io_types=True, min_positive_val=MIN_FP16, max_finite_val=MAX_FP16
        )
    # The converter changes the type of a Cast's output, but leaves the Cast itself at float32.
    for node in half.graph.node:
        if node.op_type == "Cast" and node.output[0] in casts:
            for attribute in node.attribute:
                if attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
                    attribute.i = onnx.TensorProto.FLOAT16
    onnx.save(half, str(path))
    return path
