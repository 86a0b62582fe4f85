"""Every error riskwire raises on purpose.

    RiskwireError                 something a person can act on; `str(error)` is the whole message
    ├── SettingsError             a setting, a feed list or a watchlist that cannot be used
    ├── BundleError               a model bundle that is missing, damaged or of the wrong kind
    ├── DeviceError               the asked-for device or its runtime is not there
    ├── BusError                  the bus cannot be opened or has failed
    │   ├── BusVersionError       written by a newer riskwire
    │   └── FencedError           another worker or publisher has taken over
    ├── StoreError                the store cannot be opened or has failed
    │   └── StoreVersionError     written by a newer riskwire
    ├── InUseError                a port or a data directory that another process holds
    ├── SchemaError               one record that cannot be read, or cannot stand on its topic; goes to the dead letters
    │   └── TooLargeError         … for its size: shorter it may
    ├── FetchError                one feed that could not be fetched
    │   └── RefusedError          … because riskwire will not: address, size or redirect not allowed
    ├── FeedError                 one document that is not a feed
    └── NotifyError               a notification that could not be delivered

A message says what was wrong, with what value, where, and what to do about it.
"""

from __future__ import annotations

import re
import reprlib

_USERINFO = re.compile(r"(://)[^/\s]*@")
"""User and password in an address."""
_SHORT = reprlib.Repr()
"""A few kilobytes of YAML can hold lists of lists of one list whose whole `repr` no memory can."""
_SHORT.maxlevel = 4
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxfrozenset = 10
_SHORT.maxstring = _SHORT.maxother = 1_000


class RiskwireError(Exception):
    """Base of all errors raised on purpose; renders what, value, where and what to do the same way for each, and no
    password of an address."""

    def __init__(self, what: str, *, value: object = None, where: str = "", do: str = "") -> None:
        self.what = what
        self.value = value
        self.where = where
        self.do = do
        super().__init__(what)

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.value is not None:
            shown = without_userinfo(_SHORT.repr(self.value))
            parts.append(f"(got {shown if len(shown) <= 200 else shown[:197] + '...'})")
        text = " ".join(parts)
        if self.__cause__ is not None:
            name, said = type(self.__cause__).__name__, str(self.__cause__)
            text += f": {said}" if said.startswith(name) else f": {name}: {said}" if said else f": {name}"
        return without_userinfo(f"{text.rstrip('.')}. {self.do}" if self.do else text)


class SettingsError(RiskwireError):
    """A setting, a feed list or a watchlist that cannot be used."""


class BundleError(RiskwireError):
    """A model bundle that is missing, damaged or of the wrong kind."""


class DeviceError(RiskwireError):
    """The asked-for device, or the runtime for it, is not there."""


class BusError(RiskwireError):
    """The bus cannot be opened or has failed."""


class BusVersionError(BusError):
    """The bus was written by a newer riskwire."""


class FencedError(BusError):
    """Another worker has the partition now, or another publisher the name; nothing of the step has happened, unless
    the answer to its commit was lost before."""


class StoreError(RiskwireError):
    """The store cannot be opened or has failed."""


class StoreVersionError(StoreError):
    """The store was written by a newer riskwire."""


class InUseError(RiskwireError):
    """A port or a data directory that another process holds."""


class SchemaError(RiskwireError):
    """One record that cannot be read, or cannot stand on its topic."""


class TooLargeError(SchemaError):
    """A record, or a change of state, that is larger than its topic takes."""


class FetchError(RiskwireError):
    """One feed that could not be fetched."""


class RefusedError(FetchError):
    """A fetch that riskwire will not make: address, size or redirect not allowed."""


class FeedError(RiskwireError):
    """One document that is not a feed."""


class NotifyError(RiskwireError):
    """A notification that could not be delivered."""


def without_userinfo(text: str) -> str:
    """A text whose addresses hold no user and no password."""
    return _USERINFO.sub(r"\1***@", text)


def leaves(error: BaseException) -> list[BaseException]:
    """The errors that an error carries, where it is a group of them; else itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [error]
