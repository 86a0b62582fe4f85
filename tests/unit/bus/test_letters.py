"""A dead letter is never itself too large, and what is cut can still be read."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.bus.letters import fitting
from riskwire.errors import SchemaError
from riskwire.schemas import DeadLetter

AT = datetime(2026, 3, 2, tzinfo=UTC)
MOST = 2_000


def letter(record: str, **fields: object) -> DeadLetter:
    values = {"stage": "infer", "topic": "articles", "partition": 0, "offset": 1, "error": "ValueError: no", "at": AT}
    return DeadLetter.model_validate(values | {"record": record} | fields)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200), st.integers(1, 60))
def test_whatever_the_record_the_letter_fits_and_begins_as_the_record_does(text: str, times: int):
    whole = letter(text * times)
    fits = fitting(whole, MOST)
    assert len(fits.to_bytes()) <= MOST
    assert whole.record.startswith(fits.record)
    assert fits.cut == (fits.record != whole.record)
    assert DeadLetter.model_validate_json(fits.to_bytes()) == fits


@pytest.mark.parametrize("sign", ["x", "\x00", "€", "\U0001f4c9", '"'])
def test_no_more_is_cut_than_must_be(sign: str):
    fits = fitting(letter(sign * 10_000), MOST)
    more = fits.model_copy(update={"record": fits.record + sign})
    assert len(fits.to_bytes()) <= MOST < len(more.to_bytes())


def test_a_record_of_bytes_is_cut_where_it_can_still_be_decoded():
    raw = bytes(range(256)) * 100
    fits = fitting(letter(base64.b64encode(raw).decode(), encoding="base64"), MOST)
    assert fits.cut
    assert raw.startswith(base64.b64decode(fits.record, validate=True))
    assert len(fits.record) > MOST / 2


def test_a_key_that_leaves_no_room_is_left_out():
    fits = fitting(letter("what was read", key="k" * 5_000), MOST)
    assert (fits.key, fits.record, fits.cut) == (None, "what was read", True)


def test_a_letter_that_can_never_fit_is_said():
    with pytest.raises(SchemaError, match="does not fit into 100 bytes"):
        fitting(letter("what was read"), 100)
