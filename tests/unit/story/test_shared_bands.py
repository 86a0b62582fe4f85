"""Two fingerprints of one story always share enough bands of one kind for the index to find them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from riskwire.story import SHARED_BANDS, bands, same_story

VALUES = 16
SKETCH = st.binary(min_size=VALUES, max_size=VALUES).filter(any)


def shared_bands(a: str, b: str) -> Counter[str]:
    """The number of bands that two fingerprints share, by kind."""
    return Counter(key[0] for key in set(bands(a)) & set(bands(b)))


def differing_at(sketch: bytes, places: set[int]) -> bytes:
    """A sketch that differs from another at some places."""
    return bytes(value ^ (place in places) for place, value in enumerate(sketch))


@given(title=SKETCH, lead=SKETCH, unlike=SKETCH, places=st.sets(st.integers(0, VALUES - 1), max_size=6), data=st.data())
def test_two_fingerprints_that_match_by_title_or_lead_share_enough_bands(
    title: bytes, lead: bytes, unlike: bytes, places: set[int], data: st.DataObject
) -> None:
    """A fingerprint is a sketch of the title and one of the lead, of 16 values each. A band is a pair of such values.

    Args:
        title: the sketch of the first title.
        lead: the sketch of the first lead.
        unlike: the other sketch of the second fingerprint.
        places: the values at which the sketches that may match differ.
    """
    by_title = data.draw(st.booleans())
    near = differing_at(title if by_title else lead, places)
    a = (title + lead).hex()
    b = (near + unlike).hex() if by_title else (unlike + near).hex()
    if same_story(a, b):
        shared = shared_bands(a, b)
        assert a == b or any(shared[kind] >= least for kind, least in SHARED_BANDS.items())


def test_matching_titles_may_share_only_four_bands_and_matching_leads_only_two() -> None:
    """A sketch has 16 values in 8 bands of two. Each value that differs here lies in another band."""
    title, lead, unlike = bytes(range(1, 17)), bytes(range(101, 117)), bytes(range(201, 217))
    a, b = (title + lead).hex(), (differing_at(title, {0, 2, 4, 6}) + unlike).hex()
    assert same_story(a, b)
    assert shared_bands(a, b) == {"t": SHARED_BANDS["t"]} == {"t": 4}
    b = (unlike + differing_at(lead, {0, 2, 4, 6, 8, 10})).hex()
    assert same_story(a, b)
    assert shared_bands(a, b) == {"l": SHARED_BANDS["l"]} == {"l": 2}
