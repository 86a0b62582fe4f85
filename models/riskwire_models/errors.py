"""The errors that training, evaluation and export of a bundle raise.

ModelError
├── TrainingDataError   a data file is missing, or a row of it cannot be read
├── LicenceError        a data set is to be trained on, but its licence forbids commercial use
├── MissingExtraError   torch or another library of the ``train`` extra is not installed
├── CheckpointError     a checkpoint holds the weights of a different model
├── ExportError         a graph cannot be made of a model, or differs from it
├── GateError           a precision loses too much accuracy, or its results depend on the batch
└── BundleFolderError   a bundle folder is incomplete or does not match its checksums
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of all errors that this package raises itself; the commands print its message and exit with 1."""


class TrainingDataError(ModelError):
    """A data file is missing, or a row of it cannot be read."""


class LicenceError(ModelError):
    """A data set is to be trained on, but its licence forbids commercial use."""


class RecipeError(ModelError):
    """A recipe does not exist, or has a field with a wrong name or value."""


class MissingExtraError(ModelError):
    """A library of the ``train`` extra is not installed."""

    def __init__(self, command: str, missing: str) -> None:
        super().__init__(
            f'riskwire model {command} needs the "train" extra: pip install "riskwire[train]" (missing: {missing})'
        )


class CheckpointError(ModelError):
    """A checkpoint holds the weights of a different model."""


class ExportError(ModelError):
    """A graph cannot be made: onnxruntime does not fuse it, it differs from torch, or its labels are unknown."""


class GateError(ModelError):
    """An exported precision loses too much accuracy against fp32, or its results depend on the batch."""


class BundleFolderError(ModelError):
    """A bundle folder is incomplete, or its files do not match their checksums."""
