"""Dead letters of a stage: made from refused records, and cut where their topic refuses them for their size."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from riskwire import metrics
from riskwire.bus.protocol import Assignment, Message, Outgoing, Publisher
from riskwire.errors import SchemaError, TooLargeError
from riskwire.pipeline import Topic
from riskwire.records import DeadLetter

log = structlog.get_logger(__name__)

_MAX_KEY = 1_000
"""Characters. A longer key is not used as the key of the dead letter: key and record must fit together."""
_MAX_ERROR = 2_000
"""Characters of an error's text in a dead letter."""
_SHORT_KEY = 100
_SHORT_ERROR = 100
"""The same for a dead letter that was cut."""

_SIZES = (100_000, 10_000, 1_000)
"""Bytes that the dead letters of a refused step are cut to, tried in turn and shared by all: brokers limit batches."""
_MIN_SIZE = 1_000
"""Bytes that a dead letter is cut to at least."""
_MAX_LOGGED = 20_000
"""Characters of a dead letter that can only be logged."""
_BASE64_GROUP = 4

_Commit = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Commits a step with these results."""


def dead_letter(stage: str, message: Message, error: BaseException, receiver: str | None = None) -> Outgoing:
    """Returns the dead letter of a record that could not be processed, ready to publish, and counts it in a metric.

    It holds the content of the record as text, or as base64 if that is not UTF-8.

    Args:
        stage: the name of the stage that could not process it.
        receiver: for a notification that was given up, the receiver that did not get it.
    """
    try:
        record, encoding = message.value.decode(), "text"
    except UnicodeDecodeError:
        record, encoding = base64.b64encode(message.value).decode(), "base64"
    letter = DeadLetter(
        stage=stage,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        error=_error_text(error),
        at=datetime.now(UTC),
        record=record,
        encoding="text" if encoding == "text" else "base64",
        receiver=receiver,
    )
    metrics.DEAD_LETTERS.labels(stage=stage).inc()
    metrics.count_error(stage, error)
    return Outgoing(Topic.DEAD_LETTERS, _key(message.key, letter, _MAX_KEY), letter.to_bytes())


def _error_text(error: BaseException) -> str:
    """Returns type and message of an error, as valid Unicode of bounded length, whatever the record put into it."""
    text = f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _MAX_ERROR else text[: _MAX_ERROR - 1] + "…"


def _key(key: str | None, letter: DeadLetter, max_length: int) -> str:
    return key if key and len(key) <= max_length else f"{letter.topic}-{letter.partition}"


async def commit_with_dead_letters(
    assignment: Assignment, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]
) -> None:
    """Commits one step, as `Assignment.commit`, even if the bus refuses dead letters among its results.

    When the step is refused and contains dead letters, they are cut shorter and shorter. When that does not help, the
    step is committed without them, and they are logged.

    Args:
        position: the offset of the next record to read.
        results: the records to publish, dead letters among them.
        state: the new value of each changed key; None deletes the key.

    Raises:
        BusError: revoked, closed or failed.
        SchemaError: something other than a dead letter was refused; nothing was committed.
    """
    await _commit(lambda outgoing: assignment.commit(position, outgoing, state), results)


async def publish_with_dead_letters(
    publisher: Publisher, results: Sequence[Outgoing], state: Mapping[str, bytes | None]
) -> None:
    """Publishes one step, as `Publisher.publish`, even if the bus refuses dead letters among its results.

    Refused dead letters are cut, and as a last resort only logged (`commit_with_dead_letters`).

    Args:
        state: the new value of each changed key of the publisher's state; None deletes the key.

    Raises:
        BusError: fenced, closed or failed.
        SchemaError: something other than a dead letter was refused; nothing was published.
    """
    await _commit(lambda outgoing: publisher.publish(outgoing, state), results)


async def _commit(commit: _Commit, results: Sequence[Outgoing]) -> None:
    """Commits a step. If it is refused and contains dead letters, cuts these; as a last resort leaves them out.

    Args:
        commit: commits the step with the results that it is given; raises `SchemaError` if it refuses one.

    Raises:
        SchemaError: something other than a dead letter was refused; nothing was committed.
    """
    try:
        await commit(results)
    except SchemaError as error:
        dead_letters = sum(result.topic == Topic.DEAD_LETTERS for result in results)
        if not dead_letters:
            raise
        max_bytes = error.max_bytes if isinstance(error, TooLargeError) else None
        if await _commit_cut(commit, results, dead_letters, max_bytes):
            log.warning("dead letters were refused and have been cut", letters=dead_letters, error=str(error))
        else:
            await _commit_without(commit, results)


async def _commit_cut(commit: _Commit, results: Sequence[Outgoing], dead_letters: int, max_bytes: int | None) -> bool:
    """Commits a step with its dead letters cut; returns False when none of the sizes was accepted.

    Tries smaller and smaller sizes. Each is shared by all dead letters of the step, down to a least size for each.

    Args:
        dead_letters: how many of the results are dead letters, at least 1.
        max_bytes: the size of key and value of one record that the error named, which is tried first.
    """
    sizes = [max(size // dead_letters, _MIN_SIZE) for size in _SIZES]
    refused = list(results)
    for size in sizes if max_bytes is None else [max_bytes, *sizes]:
        cut = [_cut(result, size) for result in results]
        if cut == refused:  # the same step would be refused again
            continue
        refused = cut
        try:
            await commit(cut)
        except SchemaError:  # perhaps of another record of the step: `_commit_without` finds out
            continue
        return True
    return False


async def _commit_without(commit: _Commit, results: Sequence[Outgoing]) -> None:
    """Commits a step without its dead letters, which are logged instead.

    Raises:
        SchemaError: the rest of the step is refused too; nothing was committed or logged.
        BusError: the commit failed; the dead letters were logged.
    """
    committed = True
    try:
        await commit([result for result in results if result.topic != Topic.DEAD_LETTERS])
    except SchemaError:
        committed = False
        raise
    finally:  # also when cancelled or after another error: the step may have been committed
        if committed:
            _log_unwritten([result for result in results if result.topic == Topic.DEAD_LETTERS])


def _log_unwritten(dead_letters: Sequence[Outgoing]) -> None:
    """Counts dead letters that could not be written, by stage, and logs each, shortened if it is very long."""
    for outgoing in dead_letters:
        metrics.UNWRITTEN_DEAD_LETTERS.labels(stage=_decode(outgoing).stage).inc()
        text = outgoing.value.decode("utf-8", "replace")[:_MAX_LOGGED]
        log.error("a dead letter cannot be written; this log entry is the only copy", letter=text)


def _cut(result: Outgoing, max_bytes: int) -> Outgoing:
    """Returns a dead letter cut so that key and value have at most `max_bytes` together, if that is possible.

    Also replaces a long key. Other results, dead letters that are small enough, and dead letters that cannot be cut so
    far are returned unchanged.
    """
    if result.topic != Topic.DEAD_LETTERS or len((result.key or "").encode()) + len(result.value) <= max_bytes:
        return result
    letter = _decode(result)
    key = _key(result.key, letter, _SHORT_KEY)
    try:
        return replace(result, key=key, value=cut_to_size(letter, max_bytes - len(key.encode())).to_bytes())
    except SchemaError:
        return result


def _decode(outgoing: Outgoing) -> DeadLetter:
    return DeadLetter.model_validate_json(outgoing.value)


def cut_to_size(letter: DeadLetter, max_bytes: int) -> DeadLetter:
    """Returns a dead letter of at most this size: unchanged if it fits, else with `cut` set and a shorter `record`.

    The `record` keeps as much of its start as fits; base64 is cut between groups of four characters. If the other
    fields take more than half of the size, the `key` is left out. If they still do not fit, the `error` is cut too.

    Args:
        max_bytes: the largest size of the encoded dead letter.

    Raises:
        SchemaError: even without a record it is larger.
    """
    if len(letter.to_bytes()) <= max_bytes:
        return letter
    bare = letter.model_copy(update={"record": "", "cut": True})
    if len(bare.to_bytes()) > max_bytes // 2:
        bare = bare.model_copy(update={"key": None})
    if len(bare.to_bytes()) > max_bytes and len(bare.error) > _SHORT_ERROR:
        bare = bare.model_copy(update={"error": bare.error[: _SHORT_ERROR - 1] + "…"})
    if len(bare.to_bytes()) > max_bytes:
        raise SchemaError(f"a dead letter does not fit into {max_bytes} bytes", value=letter.error)
    group = _BASE64_GROUP if letter.encoding == "base64" else 1
    # The size of a text does not follow from its length, because some characters are escaped: bisection finds the cut.
    fits, too_long = 0, len(letter.record) // group + 1
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if len(_with_record(bare, letter.record[: middle * group]).to_bytes()) <= max_bytes:
            fits = middle
        else:
            too_long = middle
    return _with_record(bare, letter.record[: fits * group])


def _with_record(bare: DeadLetter, record: str) -> DeadLetter:
    return bare.model_copy(update={"record": record})
