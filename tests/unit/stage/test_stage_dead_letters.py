"""Dead letters are cut to a size that their topic accepts, and can still be read."""

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
from riskwire.errors import SchemaError, TooLargeError
from riskwire.pipeline import Topic
from riskwire.records import DeadLetter
from riskwire.stage import commit_with_dead_letters, cut_to_size

AT = datetime(2026, 3, 2, tzinfo=UTC)
SIZE = 2_000


def letter(record: str, **fields: object) -> DeadLetter:
    values = {"stage": "infer", "topic": "articles", "partition": 0, "offset": 1, "error": "ValueError: no", "at": AT}
    return DeadLetter.model_validate(values | {"record": record} | fields)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200), st.integers(1, 60))
def test_a_cut_dead_letter_fits_and_keeps_the_beginning_of_its_record(text: str, times: int) -> None:
    original = letter(text * times)
    cut = cut_to_size(original, SIZE)
    assert len(cut.to_bytes()) <= SIZE
    assert original.record.startswith(cut.record)
    assert cut.cut == (cut.record != original.record)
    assert DeadLetter.model_validate_json(cut.to_bytes()) == cut


@pytest.mark.parametrize(
    "character", ["x", "\x00", "€", "\U0001f4c9", '"'], ids=["ascii", "escape", "euro", "emoji", "quote"]
)
def test_the_record_is_cut_no_more_than_necessary(character: str) -> None:
    """One character more would not fit. JSON encodes the characters in one to six bytes."""
    cut = cut_to_size(letter(character * 10_000), SIZE)
    longer = cut.model_copy(update={"record": cut.record + character})
    assert len(cut.to_bytes()) <= SIZE < len(longer.to_bytes())


def test_a_base64_record_is_cut_where_it_can_be_decoded() -> None:
    """The rest decodes to the beginning of the original bytes."""
    raw = bytes(range(256)) * 100
    cut = cut_to_size(letter(base64.b64encode(raw).decode(), encoding="base64"), SIZE)
    assert cut.cut
    assert raw.startswith(base64.b64decode(cut.record, validate=True))
    assert len(cut.record) > SIZE / 2


def test_a_large_key_is_left_out() -> None:
    cut = cut_to_size(letter("what was read", key="k" * 5_000), SIZE)
    assert (cut.key, cut.record, cut.cut) == (None, "what was read", True)


def test_a_dead_letter_that_cannot_fit_is_a_schema_error() -> None:
    with pytest.raises(SchemaError, match="does not fit into 100 bytes"):
        cut_to_size(letter("what was read"), 100)


def test_a_large_error_is_cut_too() -> None:
    cut = cut_to_size(letter("what was read", error="\x00" * 2_000), 1_000)
    assert len(cut.to_bytes()) <= 1_000
    assert cut.error.endswith("…")
    assert (cut.record, cut.cut) == ("what was read", True)


class RecordingAssignment:
    """An assignment that records its steps."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, list[Outgoing], dict[str, bytes | None]]] = []

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        self.steps.append((position, list(results), dict(state)))


class LimitedAssignment(RecordingAssignment):
    """An assignment that states its limit when it refuses a step, as the Kafka bus does."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self.max_bytes = max_bytes

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        if any(len(result.key or "") + len(result.value) > self.max_bytes for result in results):
            raise TooLargeError("too large", max_bytes=self.max_bytes)
        await super().commit(position, results, state)


RESULT = Outgoing(Topic.ANALYSES, "a", b"of a good record", 0)


def outgoing(dead: DeadLetter, key: str = "k") -> Outgoing:
    return Outgoing(Topic.DEAD_LETTERS, key, dead.to_bytes())


@pytest.mark.parametrize("max_bytes", [200_000, 50_000, 5_000, 1_200])
@pytest.mark.parametrize("count", [1, 24])
async def test_refused_dead_letters_are_cut_and_committed_with_their_step(max_bytes: int, count: int) -> None:
    """A step has `count` dead letters of 300,000 characters and one result. Its results and state stay as they are.

    Args:
        max_bytes: the largest dead letter that the bus accepts.
    """
    assignment = RecordingAssignment()
    dead = [outgoing(letter("x" * 300_000, offset=offset), key="k" * 999) for offset in range(count)]
    refusing = RefusingAssignment(assignment, {"dead-letters": max_bytes})
    await commit_with_dead_letters(refusing, position=7, results=[*dead, RESULT], state={"count": b"1"})
    ((position, results, state),) = assignment.steps
    assert (position, results[-1], state) == (7, RESULT, {"count": b"1"})
    committed = [DeadLetter.model_validate_json(result.value) for result in results[:-1]]
    assert [(cut.offset, cut.cut, cut.error) for cut in committed] == [
        (offset, True, "ValueError: no") for offset in range(count)
    ]


async def test_a_dead_letter_is_cut_to_the_limit_that_the_bus_states() -> None:
    """The error of a refused step contains the limit, which counts key and value."""
    assignment = LimitedAssignment(250_000)
    await commit_with_dead_letters(assignment, position=7, results=[outgoing(letter("x" * 300_000)), RESULT], state={})
    ((_, results, _),) = assignment.steps
    (cut,) = [result for result in results if result.topic == Topic.DEAD_LETTERS]
    assert len(cut.key or "") + len(cut.value) == 250_000


async def test_a_dead_letter_that_is_never_accepted_is_logged_and_its_step_committed() -> None:
    """The bus accepts dead letters up to 10 bytes. The log entry has the whole dead letter, and a metric counts it."""

    def unwritten() -> float:
        return REGISTRY.get_sample_value("riskwire_dead_letters_unwritten_total", {"stage": "infer"}) or 0.0

    assignment, before = RecordingAssignment(), unwritten()
    with capture_logs() as logs:
        refusing = RefusingAssignment(assignment, max_bytes={"dead-letters": 10})
        await commit_with_dead_letters(
            refusing, position=7, results=[outgoing(letter("what was read")), RESULT], state={}
        )
    assert assignment.steps == [(7, [RESULT], {})]
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert DeadLetter.model_validate_json(line["letter"]) == letter("what was read")
    assert unwritten() - before == 1


async def test_the_log_entry_of_a_dead_letter_is_limited() -> None:
    with capture_logs() as logs:
        refusing = RefusingAssignment(RecordingAssignment(), {"dead-letters": 10})
        await commit_with_dead_letters(refusing, position=7, results=[outgoing(letter("x" * 1_000_000))], state={})
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert len(line["letter"]) <= 20_000


@pytest.mark.parametrize("dead", [[], [outgoing(letter("x" * 300_000))]], ids=["alone", "with a dead letter"])
async def test_a_step_refused_for_another_record_is_not_committed_and_logs_no_dead_letter(
    dead: list[Outgoing],
) -> None:
    """The bus accepts analyses up to 5 bytes, fewer than the one of the step has."""
    assignment = RecordingAssignment()
    with capture_logs() as logs, pytest.raises(SchemaError, match="refuse"):
        await commit_with_dead_letters(
            RefusingAssignment(assignment, {"analyses": 5}), position=7, results=[*dead, RESULT], state={}
        )
    assert assignment.steps == []
    assert [line for line in logs if line["log_level"] == "error"] == []
