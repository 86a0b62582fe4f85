"""Runs the model of a bundle on a device."""

from __future__ import annotations

import os
from collections.abc import Callable, Set
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from riskwire.errors import BundleError, DeviceError, RiskwireError
from riskwire.inference.model.bundle import Bundle, BundleModel

Logits = dict[str, NDArray[np.float32]]
Device = Literal["cpu", "cuda"]
Precision = Literal["auto", "int8", "fp16"]
TOKEN_HEADS = frozenset({"entities", "target_sentiment", "level", "events"})
"""Heads with logits for each token; the other heads have logits for each row."""

_CUDA = "CUDAExecutionProvider"
_DYNAMIC_QUANTISATION = b"DynamicQuantize"
"""An operator of this name is in the graph of every dynamically quantised model."""


def installed_runtime(is_installed: Callable[[str], bool] | None = None) -> str:
    """Returns which distribution of onnxruntime is installed: `onnxruntime` or `onnxruntime-gpu`.

    Args:
        is_installed: whether a distribution is installed; for tests.

    Raises:
        DeviceError: both are installed, or neither is. The message says what to do.
    """
    is_installed = is_installed or _is_installed
    cpu, gpu = is_installed("onnxruntime"), is_installed("onnxruntime-gpu")
    if cpu and gpu:
        raise DeviceError(
            "both onnxruntime and onnxruntime-gpu are installed, and they overwrite each other's files",
            do="Uninstall both, then install one: `pip uninstall onnxruntime onnxruntime-gpu`, "
            "`pip install 'riskwire[cpu]'` or `pip install 'riskwire[gpu]'`",
        )
    if not cpu and not gpu:
        raise DeviceError(
            "neither onnxruntime nor onnxruntime-gpu is installed, so no model can run",
            do="Install one: `pip install 'riskwire[cpu]'` or `pip install 'riskwire[gpu]'`",
        )
    return "onnxruntime-gpu" if gpu else "onnxruntime"


def _is_installed(name: str) -> bool:
    """Returns whether a Python distribution of this name is installed."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def cores() -> int:
    """Returns the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ModelSession:
    """A model on a device. Several threads may call `run` at the same time.

    On a CPU each run uses one thread, and `workers` runs go in parallel. So the result of a run depends on its shape
    alone, to the last bit, and not on the number of cores.

    Args:
        threads: on a CPU, the number of parallel runs; 0 for one on each core.

    Attributes:
        provider: the execution provider of onnxruntime that comes first.
        rows_alone: whether each row must run alone and without padding. A dynamically quantised model needs that: its
            scales cover the entire input, so the result of a row would depend on the other rows.

    Raises:
        BundleError: the bundle has no usable model file of this precision.
        DeviceError: the device or its runtime is not available.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        model: BundleModel | None = None,
        device: Device = "cpu",
        precision: Precision = "auto",
        threads: int = 0,
    ) -> None:
        """Opens the model file of a bundle on a device; precision `auto` is int8 on a CPU and fp16 on a GPU.

        Sets `workers`, how many runs may go in parallel (1 on a GPU), and `rows_alone`, whether each row must run alone
        so that its result does not depend on other rows: a dynamically quantised model on a CPU needs that.

        Args:
            model: one of the models of the bundle; None for the first.
            threads: on a CPU, the number of parallel runs; 0 for one on each core.

        Raises:
            BundleError: the bundle has no usable model file of this precision.
            DeviceError: the device or its runtime is not available.
        """
        runtime = installed_runtime()
        if precision == "auto":
            precision = "int8" if device == "cpu" else "fp16"
        model = model or bundle.models[0]
        path = bundle.model_path(precision, model)
        self.device: Device = device
        self.precision: str = precision
        self.workers = (threads or cores()) if device == "cpu" else 1
        self.rows_alone = device == "cpu" and _contains(path, _DYNAMIC_QUANTISATION)
        self._labels = {name: len(labels) for name, labels in model.heads.items()}
        self._outputs = [*self._labels]
        self._session = _open_cuda(path, runtime) if device == "cuda" else _open_cpu(path)
        self.provider: str = next(iter(self._session.get_providers()), "")
        self._check_graph(path)

    def _check_graph(self, path: Path) -> None:
        """Checks that the graph has exactly the inputs that riskwire feeds, and at least the outputs that it reads.

        An output that states its shape must have the number of logits that the bundle has labels.

        Raises:
            BundleError: the graph at `path` has other inputs, lacks an output, or has one of another shape.
        """
        inputs = {node.name for node in self._session.get_inputs()}
        outputs = {node.name: node.shape for node in self._session.get_outputs()}
        expected_inputs, expected_outputs = {"input_ids", "attention_mask"}, set(self._outputs)
        if inputs != expected_inputs:
            raise _graph_error("inputs", expected_inputs, inputs, path)
        if not expected_outputs <= outputs.keys():
            raise _graph_error("outputs", expected_outputs, outputs.keys(), path)
        for name, labels in self._labels.items():
            expected = ["batch", "tokens", labels] if name in TOKEN_HEADS else ["batch", labels]
            shape = outputs[name]
            if shape and (len(shape) != len(expected) or (isinstance(shape[-1], int) and shape[-1] != labels)):
                raise BundleError(
                    f"the output {name} of the model should have the shape {expected}", value=shape, where=str(path)
                )

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Logits:
        """Returns the logits by head, in float32: [rows, labels], or [rows, tokens, labels] for heads that tag tokens.

        Args:
            ids: token ids, [rows, tokens].
            mask: 1 for a token and 0 for padding, [rows, tokens].

        Raises:
            DeviceError: on CUDA, the run failed.
            RiskwireError: on a CPU, the run failed.
        """
        feed = {"input_ids": ids, "attention_mask": mask}
        try:
            values = self._run_bound(feed) if self.device == "cuda" else self._session.run(self._outputs, feed)
        except Exception as error:
            error_type = DeviceError if self.device == "cuda" else RiskwireError
            raise error_type("the model could not be run", value=ids.shape, where=self.device) from error
        return dict(zip(self._outputs, values, strict=True))

    def _run_bound(self, feed: dict[str, NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """Runs the model on a CUDA device. Returns its outputs in the order of the heads, as arrays in CPU memory."""
        import onnxruntime  # noqa: PLC0415

        binding = self._session.io_binding()
        for name, value in feed.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value, "cuda", 0))
        for name in self._outputs:
            binding.bind_output(name, "cuda", 0)
        self._session.run_with_iobinding(binding)
        outputs: list[NDArray[np.float32]] = binding.copy_outputs_to_cpu()
        return outputs


def _graph_error(kind: str, expected: Set[str], actual: Set[str], path: Path) -> BundleError:
    """Returns the error of a model whose inputs or outputs (`kind`) are not the expected ones."""
    return BundleError(
        f"the {kind} of the model should be {', '.join(sorted(expected))}, but are {', '.join(sorted(actual))}",
        where=str(path),
    )


def _contains(path: Path, needle: bytes) -> bool:
    """Returns whether a file contains a byte string, such as the name of an ONNX operator in a model file.

    The file is read in blocks of 1 MiB, because models are large. The end of a block is searched again with the next
    one, so that a match across two blocks is found.
    """
    with path.open("rb") as stream:
        tail = b""
        while block := stream.read(1 << 20):
            if needle in tail + block:
                return True
            tail = block[-len(needle) :]
    return False


def _options(onnxruntime: Any) -> Any:
    """Returns onnxruntime session options for one thread per run, sequential execution and errors only in the log."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False  # a plan for each input shape would stay in memory
    options.log_severity_level = 3
    return options


def _open_cpu(path: Path) -> Any:
    """Returns an onnxruntime session of the model on the CPU.

    Raises:
        BundleError: the model cannot be loaded.
    """
    import onnxruntime  # noqa: PLC0415

    try:
        return onnxruntime.InferenceSession(str(path), _options(onnxruntime), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError("the model cannot be loaded", where=str(path)) from error


def _open_cuda(path: Path, runtime: str) -> Any:
    """Returns an onnxruntime session of the model on a CUDA device, without a fallback to the CPU.

    Args:
        runtime: the name of the installed onnxruntime package.

    Raises:
        DeviceError: the package does not support CUDA, or the model cannot run on the device.
    """
    import onnxruntime  # noqa: PLC0415

    if runtime != "onnxruntime-gpu" or _CUDA not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"device cuda was requested, but {runtime} {onnxruntime.__version__} does not support CUDA",
            do="Uninstall onnxruntime and install `riskwire[gpu]`, or set inference.device to cpu",
        )
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    options = _options(onnxruntime)
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[_CUDA])
    except Exception as error:
        raise DeviceError(
            "device cuda was requested, but the model cannot run on it",
            where=str(path),
            do="Check the driver with nvidia-smi, or set inference.device to cpu",
        ) from error
    if _CUDA not in session.get_providers():
        raise DeviceError(
            "device cuda was requested, but onnxruntime chose another device",
            value=session.get_providers(),
            do="Check the driver with nvidia-smi, or set inference.device to cpu",
        )
    return session
