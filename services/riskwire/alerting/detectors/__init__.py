"""Detectors: what is unusual about the news of a target, one file a detector, with its formula and its source."""
