"""Stories: fingerprints of articles, and an index that finds the stories that a fingerprint resembles."""

from riskwire.story.index import StoryIndex
from riskwire.story.minhash import SHARED_BANDS, bands, fingerprint, fingerprints, is_fingerprint, same_story

__all__ = [
    "SHARED_BANDS",
    "StoryIndex",
    "bands",
    "fingerprint",
    "fingerprints",
    "is_fingerprint",
    "same_story",
]
