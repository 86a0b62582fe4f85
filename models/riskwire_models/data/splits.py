"""Assigns texts to train, dev and test by a hash, so that near-duplicates get the same split."""

from __future__ import annotations

from typing import Literal

from riskwire_models.data.text import split_key, unit_hash

Split = Literal["train", "dev", "test"]

DEV_SHARE = 0.04
TEST_SHARE = 0.07
_SALT = "riskwire-split-1"


def split_of(text: str) -> Split:
    """Returns the split of a text, which does not depend on its data set."""
    position = unit_hash(split_key(text), _SALT)
    if position < TEST_SHARE:
        return "test"
    return "dev" if position < TEST_SHARE + DEV_SHARE else "train"
