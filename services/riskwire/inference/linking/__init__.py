"""Linking: finds the mentions in a document and resolves each to an entity."""

from riskwire.inference.linking.candidate import LinkedMention
from riskwire.inference.linking.linker import Linker
from riskwire.inference.linking.linker_cache import LinkerCache

__all__ = ["LinkedMention", "Linker", "LinkerCache"]
