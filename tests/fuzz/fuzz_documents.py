"""Reads mutated real feed documents for minutes: no crash, no lost item, no limit exceeded.

`make fuzz ARGS="--seconds 300 --seed 1"`. The documents are those of the repository, and the saved feeds of the shared
data where they exist. A failure prints the smallest example that Hypothesis finds, and the seed that repeats it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from feeds.mutated_documents import (
    check_no_item_is_lost,
    own_documents,
    read,
    saved_documents,
    with_any_faults,
    with_harmless_faults,
)
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

ROUND = 100
"""Documents between two looks at the clock."""
LARGEST = 120_000
"""Bytes of a saved document that is used; a larger one would take most of the time."""


def main() -> int:
    """Runs rounds of mutations until the time is over, and prints what was read. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="how long (default: 180)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the first round (default: 1)")
    arguments = parser.parse_args()
    documents = own_documents() | {name: body for name, body in saved_documents().items() if len(body) <= LARGEST}
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    started_at = time.monotonic()
    round_seed = arguments.seed
    while time.monotonic() - started_at < arguments.seconds:
        for mutate_only_harmlessly in (True, False):
            try:
                slowest = max(slowest, run_round(documents, round_seed, outcomes, harmless=mutate_only_harmlessly))
            except BaseException:
                print(f"repeat with --seed {round_seed} --seconds 1", file=sys.stderr)
                raise
        round_seed += 1
    rounds = round_seed - arguments.seed
    print(
        f"{len(documents)} documents, {rounds} rounds from seed {arguments.seed}, {time.monotonic() - started_at:.0f} s"
    )
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:7,} {outcome}")
    print(f"slowest document: {slowest:.2f} s of CPU time")
    return 0


def run_round(documents: dict[str, bytes], round_seed: int, outcomes: Counter[str], *, harmless: bool) -> float:
    """Reads `ROUND` mutated documents. Returns the seconds of CPU time of the slowest.

    Args:
        outcomes: counts what the documents were read as.
        harmless: whether only faults are made that cost no item.

    Raises:
        BaseException: what a document made the parser raise, or a check that failed.
    """
    slowest = 0.0

    @seed(round_seed)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(sorted(documents)), st.randoms(use_true_random=False))
    def check(name: str, choice: random.Random) -> None:
        nonlocal slowest
        if harmless:
            check_no_item_is_lost(documents[name], with_harmless_faults(documents[name], choice))
            outcomes["documents with faults that feeds have: every item was read"] += 1
            return
        document = read(with_any_faults(documents[name], choice))
        slowest = max(slowest, document.seconds)
        if document.result is None:
            outcomes["damaged documents that were refused"] += 1
        else:
            outcomes["damaged documents that were read"] += 1
            outcomes["items of damaged documents"] += len(document.result.items)

    check()
    return slowest


if __name__ == "__main__":
    sys.exit(main())
