"""A YAML file that a person wrote: what is wrong with it is told by line and column, never by quoting it.

A line that cannot be read may be the one that holds the password.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from riskwire.errors import SettingsError

_OUR_WORDS = re.compile(r"""(?:[^'"]|'(?:<[\w ]+>|[^'\w]|\w|\\x\w\w|\\.)')*""", re.DOTALL)
"""What a problem says before it quotes a name out of the file: single characters and kinds of token are none."""
_KINDS: dict[type, str] = {dict: "a mapping", list: "a list", str: "a text", type(None): "nothing"}


def read_yaml(path: Path, what: str, most_bytes: int | None = None) -> object:
    """What a YAML file holds; None where it is empty.

    Args:
        what: the file as a message names it: `the feed list`.

    Raises:
        SettingsError: it is not there, too large, not UTF-8 or not YAML.
    """
    try:
        if most_bytes is not None and path.stat().st_size > most_bytes:
            raise SettingsError(f"{what} is larger than {most_bytes} bytes", where=str(path))
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{what} cannot be read: it is not UTF-8", where=str(path), do="Save it as UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a path that no system takes
        raise SettingsError(f"{what} cannot be read", where=str(path)) from error
    return parsed_yaml(text, what, str(path))


def parsed_yaml(text: str, what: str, where: str) -> object:
    """What a YAML text holds; None where it is empty.

    Raises:
        SettingsError: it is not YAML.
    """
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date or number that there is not
        raise SettingsError(f"{what} cannot be read: {_problem(error)}", where=where) from None


def kind_of(value: object) -> str:
    """What a value out of such a file is, without showing it."""
    return _KINDS.get(type(value), f"of the kind {type(value).__name__}")


def _problem(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        place = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
        ours = _OUR_WORDS.match(error.problem or "")
        return f"{place}: {ours[0].strip() if ours else ''}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"a character that YAML does not allow, at {error.position}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "a date or a number that there is not"
