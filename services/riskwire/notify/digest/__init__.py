"""Digests: one message a day or week with all that happened, what was muted and what came near."""

from riskwire.notify.digest.digests import Digests

__all__ = ["Digests"]
