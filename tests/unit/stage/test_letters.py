"""A dead letter is never itself too large, and what is cut can still be read."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from refusing import RefusingAssignment
from structlog.testing import capture_logs

from riskwire.bus import Outgoing
from riskwire.errors import SchemaError
from riskwire.pipeline import Topic
from riskwire.records import DeadLetter
from riskwire.stage import commit_with_dead_letters, cut_to_size

AT = datetime(2026, 3, 2, tzinfo=UTC)
MOST = 2_000


def letter(record: str, **fields: object) -> DeadLetter:
    values = {"stage": "infer", "topic": "articles", "partition": 0, "offset": 1, "error": "ValueError: no", "at": AT}
    return DeadLetter.model_validate(values | {"record": record} | fields)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200), st.integers(1, 60))
def test_whatever_the_record_the_letter_fits_and_begins_as_the_record_does(text: str, times: int):
    whole = letter(text * times)
    fits = cut_to_size(whole, MOST)
    assert len(fits.to_bytes()) <= MOST
    assert whole.record.startswith(fits.record)
    assert fits.cut == (fits.record != whole.record)
    assert DeadLetter.model_validate_json(fits.to_bytes()) == fits


@pytest.mark.parametrize("sign", ["x", "\x00", "€", "\U0001f4c9", '"'])
def test_no_more_is_cut_than_must_be(sign: str):
    fits = cut_to_size(letter(sign * 10_000), MOST)
    more = fits.model_copy(update={"record": fits.record + sign})
    assert len(fits.to_bytes()) <= MOST < len(more.to_bytes())


def test_a_record_of_bytes_is_cut_where_it_can_still_be_decoded():
    raw = bytes(range(256)) * 100
    fits = cut_to_size(letter(base64.b64encode(raw).decode(), encoding="base64"), MOST)
    assert fits.cut
    assert raw.startswith(base64.b64decode(fits.record, validate=True))
    assert len(fits.record) > MOST / 2


def test_a_key_that_leaves_no_room_is_left_out():
    fits = cut_to_size(letter("what was read", key="k" * 5_000), MOST)
    assert (fits.key, fits.record, fits.cut) == (None, "what was read", True)


def test_a_letter_that_can_never_fit_is_said():
    with pytest.raises(SchemaError, match="does not fit into 100 bytes"):
        cut_to_size(letter("what was read"), 100)


def test_an_error_that_leaves_no_room_is_cut_before_the_letter_is_given_up():
    fits = cut_to_size(letter("what was read", error="\x00" * 2_000), 1_000)
    assert len(fits.to_bytes()) <= 1_000
    assert fits.error.endswith("…")
    assert (fits.record, fits.cut) == ("what was read", True)


class Steps:
    """An assignment that only notes its steps."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, list[Outgoing], dict[str, bytes | None]]] = []

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        self.taken.append((position, list(results), dict(state)))


RESULT = Outgoing(Topic.ANALYSES, "a", b"of a good record", 0)


def outgoing(dead: DeadLetter, key: str = "k") -> Outgoing:
    return Outgoing(Topic.DEAD_LETTERS, key, dead.to_bytes())


@pytest.mark.parametrize("most", [200_000, 50_000, 5_000, 1_200])
@pytest.mark.parametrize("count", [1, 24])
async def test_letters_that_are_refused_are_cut_and_go_with_their_step(most: int, count: int):
    steps = Steps()
    letters = [outgoing(letter("x" * 300_000, offset=n), key="k" * 999) for n in range(count)]
    await commit_with_dead_letters(
        RefusingAssignment(steps, {"dead-letters": most}), 7, [*letters, RESULT], {"count": b"1"}
    )
    ((position, results, state),) = steps.taken
    assert (position, results[-1], state) == (7, RESULT, {"count": b"1"})
    said = [DeadLetter.model_validate_json(result.value) for result in results[:-1]]
    assert [(one.offset, one.cut, one.error) for one in said] == [(n, True, "ValueError: no") for n in range(count)]


async def test_a_letter_that_can_never_be_written_is_told_whole_and_its_step_is_taken():
    def unwritten() -> float:
        return REGISTRY.get_sample_value("riskwire_dead_letters_unwritten_total", {"stage": "infer"}) or 0.0

    steps, before = Steps(), unwritten()
    with capture_logs() as logs:
        refusing = RefusingAssignment(steps, {"dead-letters": 10})
        await commit_with_dead_letters(refusing, 7, [outgoing(letter("what was read")), RESULT], {})
    assert steps.taken == [(7, [RESULT], {})]
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert DeadLetter.model_validate_json(line["letter"]) == letter("what was read")
    assert unwritten() - before == 1


async def test_what_is_told_of_a_letter_is_bounded():
    with capture_logs() as logs:
        refusing = RefusingAssignment(Steps(), {"dead-letters": 10})
        await commit_with_dead_letters(refusing, 7, [outgoing(letter("x" * 1_000_000))], {})
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert len(line["letter"]) <= 20_000


@pytest.mark.parametrize("letters", [[], [outgoing(letter("x" * 300_000))]], ids=["alone", "with a letter"])
async def test_a_step_that_is_refused_for_what_else_is_in_it_is_not_taken_and_tells_no_letter(letters: list[Outgoing]):
    steps = Steps()
    with capture_logs() as logs, pytest.raises(SchemaError, match="refuse"):
        await commit_with_dead_letters(RefusingAssignment(steps, {"analyses": 5}), 7, [*letters, RESULT], {})
    assert steps.taken == []
    assert [line for line in logs if line["log_level"] == "error"] == []
