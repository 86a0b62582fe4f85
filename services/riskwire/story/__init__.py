"""Stories: fingerprints of articles, and indexes that find the stories that a fingerprint resembles."""

from riskwire.story.fingerprint_index import FingerprintIndex
from riskwire.story.index import StoryIndex
from riskwire.story.minhash import SHARED_BANDS, bands, fingerprint, fingerprints, is_fingerprint, same_story

__all__ = [
    "SHARED_BANDS",
    "FingerprintIndex",
    "StoryIndex",
    "bands",
    "fingerprint",
    "fingerprints",
    "is_fingerprint",
    "same_story",
]
