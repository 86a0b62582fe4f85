"""From mentions to entities."""

from riskwire.inference.linking.linker import LinkedMention, Linker
from riskwire.inference.linking.linkers import Linkers

__all__ = ["LinkedMention", "Linker", "Linkers"]
