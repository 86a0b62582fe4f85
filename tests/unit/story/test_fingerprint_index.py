"""The shared index finds exactly the fingerprints that a comparison with each would find, as long as they are held."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.story import FingerprintIndex, fingerprint, same_story

WORDS = st.sampled_from(
    ["acme", "fraud", "probe", "dublin", "paris", "losses", "crisis", "recall", "toasters", "growth"]
)
TITLES = st.lists(WORDS, min_size=4, max_size=7).map(" ".join)
LEADS = st.lists(WORDS, max_size=12).map(" ".join)
FINGERPRINTS = st.builds(fingerprint, TITLES, LEADS)
MORE_THAN_CHAINS = 1_100
"""More fingerprints than a small index has chains in a band, so that it grows twice."""


def index_of(fingerprints: list[str]) -> FingerprintIndex:
    """Returns an index in which each of the fingerprints has a holder."""
    index = FingerprintIndex()
    for held in fingerprints:
        index.add(held)
    return index


@given(st.lists(FINGERPRINTS, max_size=12), FINGERPRINTS)
def test_similar_fingerprints_are_those_that_compare_as_the_same_story(held: list[str], sought: str) -> None:
    similar = index_of(held).similar(sought)
    assert set(similar) == {candidate for candidate in held if same_story(candidate, sought)}
    assert len(similar) == len(set(similar))


@given(st.lists(FINGERPRINTS, min_size=2, max_size=12, unique=True), st.data())
def test_a_fingerprint_without_a_holder_is_not_found_and_the_others_are(held: list[str], data: st.DataObject) -> None:
    index = index_of(held)
    removed = data.draw(st.lists(st.sampled_from(held), unique=True))
    for former in removed:
        index.remove(former)
    remaining = [candidate for candidate in held if candidate not in removed]
    for sought in held:
        assert set(index.similar(sought)) == {candidate for candidate in remaining if same_story(candidate, sought)}


def test_a_fingerprint_is_found_until_its_last_holder_is_gone() -> None:
    acme = fingerprint("acme recalls toasters after fire in dublin", "")
    index = index_of([acme, acme])
    index.remove(acme)
    assert index.similar(acme) == [acme]
    index.remove(acme)
    assert index.similar(acme) == []
    assert len(index) == 0
    with pytest.raises(KeyError):
        index.remove(acme)


def test_holders_share_one_text() -> None:
    acme = fingerprint("acme recalls toasters after fire in dublin", "")
    index = FingerprintIndex()
    shared = index.add(acme)
    assert index.add("".join(acme)) is shared


def test_a_text_of_another_form_resembles_only_itself() -> None:
    index = index_of(["an id of riskwire 0.1", "5f"])
    assert index.similar("5f") == ["5f"]
    assert index.similar("5e") == []


def test_a_large_index_finds_what_a_small_one_finds_and_reuses_the_room_of_what_is_gone() -> None:
    chance = random.Random(4)
    many = [chance.randbytes(32).hex() for _ in range(MORE_THAN_CHAINS)]
    index = index_of(many)
    changed = many[0][:8] + "00" * 4 + many[0][16:]  # four of sixteen values of the title differ
    index.add(changed)
    assert set(index.similar(many[0])) == {many[0], changed}
    size = index.allocated
    for held in many:
        index.remove(held)
    for _ in many:
        index.add(chance.randbytes(32).hex())
    assert index.allocated == size
    assert index.similar(many[1]) == []
    assert index.similar(changed) == [changed]
