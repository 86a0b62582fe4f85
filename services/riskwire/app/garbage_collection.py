"""Settings of Python's cyclic garbage collector for a process that runs for long."""

from __future__ import annotations

import gc

_THRESHOLD = 50_000
"""New objects before a collection of the youngest generation: more than one batch makes."""
_GENERATION_RATIO = 20
"""Collections of one generation before the next older one is collected too."""


def settle_garbage_collector() -> None:
    """Excludes the objects that exist now from garbage collection, and makes collections rare.

    To be called when everything is loaded. Tables, model and page are never freed, and a batch of 500 articles makes
    some 30,000 objects without a reference cycle among them. With Python's defaults a fifth of a stage's time went
    into traversing both.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_THRESHOLD, _GENERATION_RATIO, _GENERATION_RATIO)
