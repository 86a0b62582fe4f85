"""Exports of the store, one kind of rows a file, as CSV or Parquet. Memory is bounded however large the store is."""

from riskwire.store.exports.export import export_rows
from riskwire.store.exports.kinds import ExportKind

__all__ = ["ExportKind", "export_rows"]
