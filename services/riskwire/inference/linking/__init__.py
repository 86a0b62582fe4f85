"""From mentions to entities."""

from riskwire.inference.linking.linker import LinkedMention, Linker

__all__ = ["LinkedMention", "Linker"]
