"""The look-up that spares comparing: whatever makes two fingerprints one story, they share enough keys of a kind."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from riskwire.story import SHARED_BANDS, bands, same_story

VALUES = 16
SKETCH = st.binary(min_size=VALUES, max_size=VALUES).filter(any)


def shared(one: str, other: str) -> Counter[str]:
    return Counter(key[0] for key in set(bands(one)) & set(bands(other)))


@given(title=SKETCH, lead=SKETCH, other=SKETCH, places=st.sets(st.integers(0, VALUES - 1), max_size=6), data=st.data())
def test_a_story_that_is_the_same_by_title_or_lead_is_found(
    title: bytes, lead: bytes, other: bytes, places: set[int], data: st.DataObject
) -> None:
    by_title = data.draw(st.booleans())
    kept = title if by_title else lead
    changed = bytes(value ^ (1 if at in places else 0) for at, value in enumerate(kept))
    one = (title + lead).hex()
    another = (changed + other).hex() if by_title else (other + changed).hex()
    if same_story(one, another):
        found = shared(one, another)
        assert one == another or any(found[kind] >= enough for kind, enough in SHARED_BANDS.items())


def test_of_four_pairs_of_a_title_and_two_of_a_lead_none_can_be_spared() -> None:
    title, lead = bytes(range(1, 17)), bytes(range(101, 117))
    apart = bytes(range(201, 217))
    spoiled = bytes(value ^ (at in {0, 2, 4, 6}) for at, value in enumerate(title))
    one, another = (title + lead).hex(), (spoiled + apart).hex()
    assert same_story(one, another)
    assert shared(one, another) == {"t": SHARED_BANDS["t"]} == {"t": 4}
    spoiled = bytes(value ^ (at in {0, 2, 4, 6, 8, 10}) for at, value in enumerate(lead))
    one, another = (title + lead).hex(), (apart + spoiled).hex()
    assert same_story(one, another)
    assert shared(one, another) == {"l": SHARED_BANDS["l"]} == {"l": 2}
