"""The errors that riskwire raises on purpose.

    RiskwireError                 a problem that a person can act on; `str(error)` is the complete message
    ├── SettingsError             a setting, feed list or watchlist that cannot be used
    ├── BundleError *             a model bundle that is missing, damaged or of the wrong kind
    ├── DeviceError *             the requested device or its runtime is not available
    ├── BusError *                the bus cannot be opened or has failed
    │   ├── BusVersionError *     the bus was written by another version of riskwire
    │   └── FencedError *         another worker or publisher has taken over
    ├── StoreError *              the store cannot be opened or has failed
    │   ├── StoreVersionError *   the store was written by another version of riskwire
    │   └── StoreUnavailableError *  the store is away, in use or full for now
    ├── InUseError                a port or data directory that another process holds
    ├── SchemaError               a record that cannot be read or published; it becomes a dead letter
    │   └── TooLargeError         a record that is too large for its topic
    ├── LimitError                a request for more than a limit allows
    ├── FetchError                a feed that could not be fetched
    │   └── RefusedError          a fetch that is not allowed: address, size or redirect
    ├── FeedError                 a document that is not a feed
    └── NotifyError               a notification that could not be delivered

Errors marked * are fatal: a stage that meets one stops. Any other error concerns one record, which becomes a dead
letter.
A message says what was wrong, with what value, where, and what to do about it.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Sequence
from typing import ClassVar

_USERINFO = re.compile(r"(://)[^/\s]*@")
"""User and password in a URL."""
CREDENTIAL_PARAMETER = (
    r"(?!key-?words?\b|author)(?:[\w.-]*?(?:api[_-]?key|token|secret|passw|passphrase|credential|signature|auth)[\w.-]*"
    r"|[\w.-]*[_-]?key|sig|pass|pwd|pin|licen[cs]e|session(?:[_-]?id)?)"
)
"""The name of a query parameter whose value is taken for a secret."""
_SECRET_QUERY = re.compile(rf"([?&;]{CREDENTIAL_PARAMETER}=)[^&;#\s\"'<>]*[^&;#\s\"'<>.,:!?)\]}}]", re.IGNORECASE)
"""A query parameter of a URL that holds a secret. Punctuation at the end belongs to the sentence."""
_MAX_VALUE = 200
"""Characters of a value in a message."""
_SHORT_REPR = reprlib.Repr()
"""Bounded `repr`: nested aliases let a few kilobytes of YAML describe a value whose full `repr` exceeds memory."""
_SHORT_REPR.maxlevel = 4
_SHORT_REPR.maxdict = _SHORT_REPR.maxlist = _SHORT_REPR.maxtuple = 10
_SHORT_REPR.maxset = _SHORT_REPR.maxfrozenset = 10
_SHORT_REPR.maxstring = _SHORT_REPR.maxother = 1_000


class RiskwireError(Exception):
    """Base of all errors raised on purpose.

    The message has one form for every error: `where: what (got value): cause. do`. User, password and secret
    query parameters of a URL are masked.

    Args:
        what: what was wrong, in lower case and without a full stop.
        value: the value that was wrong.
        where: the setting, file, record or URL.
        do: what the user can do about it.
    """

    fatal: ClassVar[bool] = False
    """Whether a stage that meets this error must stop, because the cause is not the record it works on."""

    def __init__(self, what: str, *, value: object = None, where: str = "", do: str = "") -> None:
        """Keeps what was wrong, the wrong value, its place, and what the user can do; `__str__` joins them."""
        self.what = what
        self.value = value
        self.where = where
        self.do = do
        super().__init__(what)

    def __str__(self) -> str:
        """Returns the error for a person: where, what, the value, the cause and what to do; no passwords of URLs.

        Leaves out what is empty or None. Shortens a long value.
        """
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.value is not None:
            shown = without_secrets(_SHORT_REPR.repr(self.value))
            text += f" (got {shown if len(shown) <= _MAX_VALUE else shown[: _MAX_VALUE - 3] + '...'})"
        if self.__cause__ is not None:
            text += f": {_cause_text(self.__cause__)}"
        return without_secrets(f"{text.rstrip('.')}. {self.do}" if self.do else text)


def _cause_text(cause: BaseException) -> str:
    """Returns type and message of an error, in one line: who reads a log takes the last line for the reason.

    Without a message it is the type alone; a message that begins with the type stands alone.
    """
    name, message = type(cause).__name__, " ".join(str(cause).split())
    if not message:
        return name
    return message if message.startswith(name) else f"{name}: {message}"


class SettingsError(RiskwireError):
    """A setting, feed list or watchlist that cannot be used."""


class BundleError(RiskwireError):
    """A model bundle that is missing, damaged or of the wrong kind."""

    fatal = True


class DeviceError(RiskwireError):
    """The requested device, or its runtime, is not available."""

    fatal = True


class BusError(RiskwireError):
    """The bus cannot be opened or has failed."""

    fatal = True


class BusVersionError(BusError):
    """The bus was written by another version of riskwire."""


class FencedError(BusError):
    """Another worker has taken over the partition, or another publisher the name.

    No part of the step was committed, unless an earlier attempt to commit it was never answered.
    """


class StoreError(RiskwireError):
    """The store cannot be opened or has failed."""

    fatal = True


class StoreVersionError(StoreError):
    """The store was written by another version of riskwire."""


class StoreUnavailableError(StoreError):
    """The store is away, in use or full; the same may succeed later."""


class InUseError(RiskwireError):
    """A port or data directory that another process holds."""


class SchemaError(RiskwireError):
    """A record that cannot be read, or that its topic does not accept."""


class TooLargeError(SchemaError):
    """A record, or a change of state, that is larger than its topic accepts.

    Args:
        max_bytes: the largest size of key and value, if it is known.
    """

    def __init__(
        self, what: str, *, value: object = None, where: str = "", do: str = "", max_bytes: int | None = None
    ) -> None:
        """Keeps `max_bytes`, the largest size of key and value together in bytes, or None if it is not known."""
        super().__init__(what, value=value, where=where, do=do)
        self.max_bytes = max_bytes


class LimitError(RiskwireError):
    """A request for more than a limit allows."""


class FetchError(RiskwireError):
    """A feed that could not be fetched."""


class RefusedError(FetchError):
    """A fetch that is not allowed: address, size or redirect."""


class FeedError(RiskwireError):
    """A document that is not a feed."""


class NotifyError(RiskwireError):
    """A notification that could not be delivered."""


def without_secrets(text: str) -> str:
    """Returns a text with user, password and secret query parameters (`?apikey=…`) of its URLs masked."""
    return _SECRET_QUERY.sub(r"\1***", _USERINFO.sub(r"\1***@", text))


def raise_faults(faults: Sequence[RiskwireError], what: str) -> None:
    """Raises the only fault, or all of several as a group, so that a person can mend them at once. Else returns.

    Args:
        what: the message of the group.
    """
    if len(faults) > 1:
        raise ExceptionGroup(what, list(faults))
    if faults:
        raise faults[0]


def leaves(error: BaseException) -> list[BaseException]:
    """Returns the errors in an exception group, at any depth; for any other error, the error itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for member in error.exceptions for leaf in leaves(member)]
    return [error]


def is_fatal(error: BaseException) -> bool:
    """Returns whether an error, or any error in a group, means that the stage cannot continue.

    Fatal are a `RiskwireError` that says so, `OSError`, `MemoryError` and what `lacks_thread` recognises. Any other
    error concerns one record.
    """
    return any(
        leaf.fatal if isinstance(leaf, RiskwireError) else isinstance(leaf, OSError | MemoryError) or lacks_thread(leaf)
        for leaf in leaves(error)
    )


def lacks_thread(error: BaseException) -> bool:
    """Returns whether an error means that the operating system gave no further thread or process.

    Python raises a plain `RuntimeError` then, so its message is the only sign.
    """
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)
