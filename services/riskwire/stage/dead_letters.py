"""Dead letters that fit: one that is too large for its topic is cut, so that what is wrong is told all the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from riskwire import metrics
from riskwire.bus.protocol import Assignment, Outgoing, Publisher
from riskwire.errors import SchemaError
from riskwire.pipeline import Topic
from riskwire.records import DeadLetter

log = structlog.get_logger(__name__)

_BASE64_GROUP = 4
_SHORT_ERROR = 100
_SHORT_KEY = 100
"""In characters."""

_ROOMS = (100_000, 10_000, 1_000)
"""Bytes for the letters of a step that is refused with them: tried in turn, shared by all (brokers bound batches)."""
_LEAST_ROOM = 1_000
_MOST_TOLD = 20_000
"""Characters of a letter that is only told in the log."""

_Take = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Takes a step of these results."""


async def commit_with_letters(
    assignment: Assignment, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]
) -> None:
    """One step, as `Assignment.commit`, that no dead letter can stop: where it is refused and holds some, they are cut,
    each time further; where that is of no use it is taken without them, and they are told in the log.

    Raises:
        BusError: revoked, closed or failed.
        SchemaError: what is refused is not a dead letter; nothing of the step has happened.
    """
    await _taken(lambda these: assignment.commit(position, these, state), results)


async def publish_with_letters(
    publisher: Publisher, results: Sequence[Outgoing], state: Mapping[str, bytes | None]
) -> None:
    """One step, as `Publisher.publish`, that no dead letter can stop (`commit_with_letters`).

    Raises:
        BusError: fenced, closed or failed.
        SchemaError: what is refused is not a dead letter; nothing of the step has happened.
    """
    await _taken(lambda these: publisher.publish(these, state), results)


async def _taken(take: _Take, results: Sequence[Outgoing]) -> None:
    try:
        await take(results)
    except SchemaError as error:
        letters = [result for result in results if result.topic == Topic.DEAD_LETTERS]
        if not letters:
            raise
        if await _taken_cut(take, results, len(letters)):
            log.warning("dead letters were refused and have been cut", letters=len(letters), error=str(error))
            return
        await _taken_without(take, results)


async def _taken_cut(take: _Take, results: Sequence[Outgoing], letters: int) -> bool:
    tried = list(results)
    for room in _ROOMS:
        cut = [_cut(result, max(room // letters, _LEAST_ROOM)) for result in results]
        if cut == tried:
            continue
        tried = cut
        try:
            await take(cut)
        except SchemaError:  # it may be the rest of the step: `_taken_without` will tell
            continue
        return True
    return False


async def _taken_without(take: _Take, results: Sequence[Outgoing]) -> None:
    taken = True
    try:
        await take([one for one in results if one.topic != Topic.DEAD_LETTERS])
    except SchemaError:
        taken = False
        raise
    finally:  # also where it is cancelled: the step may have been taken
        for letter in results if taken else ():
            if letter.topic == Topic.DEAD_LETTERS:
                metrics.UNWRITTEN_LETTERS.labels(stage=_read(letter).stage).inc()
                told = letter.value.decode("utf-8", "replace")[:_MOST_TOLD]
                log.error("a dead letter cannot be written: this is all that is kept of it", letter=told)


def _cut(result: Outgoing, most: int) -> Outgoing:
    if result.topic != Topic.DEAD_LETTERS or len(result.value) <= most:
        return result
    letter = _read(result)
    key = result.key if result.key and len(result.key) <= _SHORT_KEY else f"{letter.topic}-{letter.partition}"
    try:
        return Outgoing(Topic.DEAD_LETTERS, key, fitting(letter, most).to_bytes(), result.partition)
    except SchemaError:
        return result


def _read(letter: Outgoing) -> DeadLetter:
    return DeadLetter.model_validate_json(letter.value)


def fitting(letter: DeadLetter, most: int) -> DeadLetter:
    """The letter, its `record` cut at the end where it is larger; its key left out and its `error` cut where those
    alone are too much.

    Args:
        most: largest size of the letter as it stands on its topic, in bytes.

    Raises:
        SchemaError: not even a letter without a record has room.
    """
    if len(letter.to_bytes()) <= most:
        return letter
    bare = letter.model_copy(update={"record": "", "cut": True})
    if len(bare.to_bytes()) > most // 2:
        bare = bare.model_copy(update={"key": None})
    if len(bare.to_bytes()) > most and len(bare.error) > _SHORT_ERROR:
        bare = bare.model_copy(update={"error": bare.error[: _SHORT_ERROR - 1] + "…"})
    if len(bare.to_bytes()) > most:
        raise SchemaError(f"a dead letter does not fit into {most} bytes", value=letter.error)
    group = _BASE64_GROUP if letter.encoding == "base64" else 1
    fits, too_many = 0, len(letter.record) // group + 1
    while too_many - fits > 1:  # escapes make some characters longer than others: looked for by halving
        half = (fits + too_many) // 2
        if len(_with(bare, letter.record[: half * group]).to_bytes()) <= most:
            fits = half
        else:
            too_many = half
    return _with(bare, letter.record[: fits * group])


def _with(bare: DeadLetter, record: str) -> DeadLetter:
    return bare.model_copy(update={"record": record})
