"""Dead letters that fit: one that is too large for its topic is cut, so that what is wrong is told all the same."""

from __future__ import annotations

from riskwire.errors import SchemaError
from riskwire.schemas import DeadLetter

_BASE64_GROUP = 4


def fitting(letter: DeadLetter, most: int) -> DeadLetter:
    """The letter, its `record` cut at the end (and its key left out, if that alone is too much) where it is larger.

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
