"""Mutated documents cost no crash, no item and no limit. `tests/fuzz/fuzz_documents.py` does this for minutes."""

from __future__ import annotations

import random

from feeds.mutated_documents import check_no_item_is_lost, own_documents, read, with_any_faults, with_harmless_faults
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DOCUMENTS = own_documents()
CHOICES = st.randoms(use_true_random=False)
SHORT = settings(
    max_examples=120, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@SHORT
@given(st.sampled_from(sorted(DOCUMENTS)), CHOICES)
def test_faults_that_feeds_have_cost_no_item(name: str, choice: random.Random) -> None:
    check_no_item_is_lost(DOCUMENTS[name], with_harmless_faults(DOCUMENTS[name], choice))


@SHORT
@given(st.sampled_from(sorted(DOCUMENTS)), CHOICES)
def test_no_fault_makes_the_parser_crash_or_exceed_a_limit(name: str, choice: random.Random) -> None:
    read(with_any_faults(DOCUMENTS[name], choice))
