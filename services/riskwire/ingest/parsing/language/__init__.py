"""The language of items: py3langid, and English words where names mislead it."""

from riskwire.ingest.parsing.language.detection import LANGUAGES, detect, load

__all__ = ["LANGUAGES", "detect", "load"]
