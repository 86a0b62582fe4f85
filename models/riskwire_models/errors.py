"""The errors of the model workshop.

ModelError
├── DataError        a data file is missing or a row cannot be read
├── LicenceError     a set was asked to train a bundle its licence does not allow
├── MissingExtraError     torch or another training library is not installed
├── CheckpointError  a checkpoint does not fit the network
├── ExportError      a graph could not be brought into the form that ships
├── GateError        a precision lost too much accuracy, or its results depend on the batch
└── BundleError      a bundle folder is incomplete or does not match its checksums
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of all errors raised on purpose in this package."""


class DataError(ModelError):
    """A data file is missing or holds a row that cannot be read."""


class LicenceError(ModelError):
    """A data set was asked to train a bundle although its licence forbids it."""


class MissingExtraError(ModelError):
    """A library of the ``train`` extra is not installed."""

    def __init__(self, command: str, missing: str) -> None:
        super().__init__(
            f'riskwire model {command} needs the "train" extra: pip install "riskwire[train]" (missing: {missing})'
        )


class CheckpointError(ModelError):
    """A checkpoint does not fit the network."""


class ExportError(ModelError):
    """A graph could not be brought into the form that ships."""


class GateError(ModelError):
    """An exported precision does not keep what the fp32 checkpoint promised."""


class BundleError(ModelError):
    """A bundle folder is incomplete or its files do not match their checksums."""
