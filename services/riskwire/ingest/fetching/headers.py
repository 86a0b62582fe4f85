"""Request headers of a feed, from a file: the key or the cookie by which a publisher knows its customer.

The file has one `Name: value` a line; empty lines and lines that begin with `#` are skipped. The feed list holds only
the name of the file, so no secret is on the bus, in a log or on the page.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from riskwire.errors import SettingsError

_MAX_BYTES = 65_536
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_RESERVED = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "te", "upgrade", "expect"}
    | {"if-none-match", "if-modified-since", "range"}
)
"""Headers on which reading the answer depends."""


def read_headers(path: Path) -> dict[str, str]:
    """Returns the headers of a file by name. Messages name the line and never its value.

    Raises:
        SettingsError: the file cannot be read, every user can write it, or a line is not a header.
    """
    where = str(path)
    try:
        if path.stat().st_mode & stat.S_IWOTH:
            raise SettingsError("every user of this machine can write the file", where=where, do=f"chmod 600 {path}")
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        text = raw.decode()
    except (OSError, ValueError) as error:
        cause = error if isinstance(error, OSError) else None
        raise SettingsError("the headers of the feed cannot be read as UTF-8", where=where) from cause
    if len(raw) > _MAX_BYTES:
        raise SettingsError(f"the headers of the feed are longer than {_MAX_BYTES} bytes", where=where)
    headers: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not _NAME.fullmatch(name) or not (value.isprintable() and value.isascii()):
            raise SettingsError("not a header; write `Name: value`", where=f"{where}: line {number}")
        if name.lower() in _RESERVED:
            raise SettingsError("a header that riskwire sets itself", value=name, where=f"{where}: line {number}")
        headers[name] = value
    return headers
