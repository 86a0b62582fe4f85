"""The model, open on a device."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from riskwire.errors import BundleError, DeviceError, RiskwireError
from riskwire.inference.model.bundle import Bundle

Logits = dict[str, NDArray[np.float32]]
Device = Literal["cpu", "cuda"]
Precision = Literal["auto", "int8", "fp16"]

_CUDA = "CUDAExecutionProvider"
_DYNAMIC = b"DynamicQuantize"


def installed_runtime(has: Callable[[str], bool] | None = None) -> str:
    """Which distribution of onnxruntime is installed: `onnxruntime` or `onnxruntime-gpu`.

    Raises:
        DeviceError: both or neither are; says what to do.
    """
    has = has or _is_installed
    cpu, gpu = has("onnxruntime"), has("onnxruntime-gpu")
    if cpu and gpu:
        raise DeviceError(
            "both onnxruntime and onnxruntime-gpu are installed, and each overwrites the other's files",
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
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ModelSession:
    """One model on one device. `run` may be called from several threads at once.

    On cpu each run takes one thread and `workers` runs go side by side: the split of the work inside a run, and so
    every last bit of its result, then depends on the run's shape alone, not on how many cores there are.

    `rows_alone` is true for a model quantised dynamically: its scales are taken over the whole input, so that a row's
    result would depend on the rows beside it. Such a model reads each row alone and without padding.
    """

    def __init__(self, bundle: Bundle, *, device: Device = "cpu", precision: Precision = "auto", threads: int = 0):
        runtime = installed_runtime()
        if precision == "auto":
            precision = "int8" if device == "cpu" else "fp16"
        path = bundle.model_path(precision)
        self.device: Device = device
        self.precision: str = precision
        self.workers = (threads or cores()) if device == "cpu" else 1
        self.rows_alone = device == "cpu" and _holds(path, _DYNAMIC)
        heads = bundle.manifest.heads
        self._outputs = [
            name for name in ("sentiment", "entities", "target_sentiment", "topics") if getattr(heads, name)
        ]
        self._session = _open_cuda(path, runtime) if device == "cuda" else _open_cpu(path)
        self._check_graph(path)

    def _check_graph(self, path: Path) -> None:
        inputs = {one.name for one in self._session.get_inputs()}
        outputs = {one.name for one in self._session.get_outputs()}
        for kind, wanted, found in (
            ("inputs", {"input_ids", "attention_mask"}, inputs),
            ("outputs", set(self._outputs), outputs),
        ):
            if not wanted <= found or (kind == "inputs" and wanted != found):
                raise BundleError(
                    f"the model's {kind} should be {', '.join(sorted(wanted))} and are {', '.join(sorted(found))}",
                    where=str(path),
                )

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Logits:
        """Logits of each head for `ids` [rows, tokens]; float32.

        Raises:
            DeviceError: on cuda, when the device fails. RiskwireError: on cpu, when the model cannot take the input.
        """
        feed = {"input_ids": ids, "attention_mask": mask}
        try:
            values = self._run_bound(feed) if self.device == "cuda" else self._session.run(self._outputs, feed)
        except Exception as error:
            kind = DeviceError if self.device == "cuda" else RiskwireError
            raise kind("the model could not be run", value=ids.shape, where=self.device) from error
        return dict(zip(self._outputs, values, strict=True))

    def _run_bound(self, feed: dict[str, NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        import onnxruntime  # noqa: PLC0415

        binding = self._session.io_binding()
        for name, value in feed.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value, "cuda", 0))
        for name in self._outputs:
            binding.bind_output(name, "cuda", 0)
        self._session.run_with_iobinding(binding)
        copied: list[NDArray[np.float32]] = binding.copy_outputs_to_cpu()
        return copied


def _holds(path: Path, needle: bytes) -> bool:
    with path.open("rb") as stream:
        tail = b""
        while block := stream.read(1 << 20):
            if needle in tail + block:
                return True
            tail = block[-len(needle) :]
    return False


def _options(onnxruntime: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False  # a plan kept for each shape: memory would grow with the shapes seen
    options.log_severity_level = 3
    return options


def _open_cpu(path: Path) -> Any:
    import onnxruntime  # noqa: PLC0415

    try:
        return onnxruntime.InferenceSession(str(path), _options(onnxruntime), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError("the model cannot be loaded", where=str(path)) from error


def _open_cuda(path: Path, runtime: str) -> Any:
    import onnxruntime  # noqa: PLC0415

    if runtime != "onnxruntime-gpu" or _CUDA not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"device cuda was asked for, but {runtime} {onnxruntime.__version__} has no CUDA",
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
            "device cuda was asked for, but the model cannot run there",
            where=str(path),
            do="Check the driver with nvidia-smi, or set inference.device to cpu",
        ) from error
    if _CUDA not in session.get_providers():
        raise DeviceError(
            "device cuda was asked for, but onnxruntime took another",
            value=session.get_providers(),
            do="Check the driver with nvidia-smi, or set inference.device to cpu",
        )
    return session
