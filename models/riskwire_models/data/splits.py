"""Train, dev and test by a hash of the normalised text, so that no near-duplicate straddles."""

from __future__ import annotations

from typing import Literal

from riskwire_models.data.text import split_key, unit_hash

Split = Literal["train", "dev", "test"]

DEV_SHARE = 0.04
TEST_SHARE = 0.07
_SALT = "riskwire-split-1"


def split_of(text: str) -> Split:
    """The split a text belongs to, in whatever data set it stands."""
    at = unit_hash(split_key(text), _SALT)
    if at < TEST_SHARE:
        return "test"
    return "dev" if at < TEST_SHARE + DEV_SHARE else "train"
