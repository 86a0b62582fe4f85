"""Reads a YAML file that a person wrote.

Errors name line and column and never quote the file: the line that cannot be parsed may hold a password.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from riskwire.errors import SettingsError

_PARSER_WORDS = re.compile(r"""(?:[^'"]|'(?:<[\w ]+>|[^'\w]|\w|\\x\w\w|\\.)')*""", re.DOTALL)
"""The start of a parser message, up to the first quoted name of the file.

A quoted single character or kind of token (`'<stream end>'`) is the parser's own and is included.
"""
_MAX_EXPANSION = 10
"""How many times larger aliases and merge keys may make a document than it is written."""
_FREE_EXPANSION = 10_000
"""Values that aliases and merge keys may add to any document."""
_TYPES: dict[type, str] = {dict: "a mapping", list: "a list", str: "a text", type(None): "nothing"}


def read_yaml(path: Path, what: str, max_bytes: int | None = None) -> object:
    """Returns the content of a YAML file, or None if it is empty.

    Args:
        what: the file as a message names it, such as `the feed list`.
        max_bytes: the largest size that is read; None for any size.

    Raises:
        SettingsError: the file is missing, too large, not UTF-8 or not YAML.
    """
    try:
        if max_bytes is not None and path.stat().st_size > max_bytes:
            raise SettingsError(f"{what} is larger than {max_bytes} bytes", where=str(path))
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{what} cannot be read: it is not UTF-8", where=str(path), do="Save it as UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise SettingsError(f"{what} cannot be read", where=str(path)) from error
    return parse_yaml(text, what, str(path))


def parse_yaml(text: str, what: str, where: str) -> object:
    """Returns the content of a YAML text, or None if it is empty.

    Args:
        what: the text as a message names it, such as `the feed list`.
        where: the file, for the message.

    Raises:
        SettingsError: the text is not YAML. The message does not quote the text.
    """
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_expansion(node)
        return loader.construct_document(node)
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: an impossible date or number
        raise SettingsError(f"{what} cannot be read: {_problem(error)}", where=where) from None
    finally:
        if loader is not None:
            loader.dispose()


def _check_expansion(root: yaml.Node) -> None:
    """Refuses a document that aliases and merge keys make much larger than it is written.

    A few kilobytes of nested merge keys take gigabytes of memory.

    Raises:
        yaml.MarkedYAMLError: it is too large, or an alias stands within what it names.
    """
    sizes: dict[int, int] = {}
    """By node: its values with every alias written out; 0 while the node is being counted."""

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        if known == 0:
            raise yaml.constructor.ConstructorError(None, None, "an alias names what it is in", node.start_mark)
        if known is None:
            sizes[id(node)] = 0
            children: list[yaml.Node] = []
            if isinstance(node, yaml.MappingNode):
                children = [part for pair in node.value for part in pair]
            elif isinstance(node, yaml.SequenceNode):
                children = node.value
            known = sizes[id(node)] = 1 + sum(map(size, children))
        return known

    if size(root) > _MAX_EXPANSION * len(sizes) + _FREE_EXPANSION:
        raise yaml.constructor.ConstructorError(None, None, "aliases make it much too large", root.start_mark)


def describe_type(value: object) -> str:
    """Returns the type of a parsed value in words, without the value."""
    return _TYPES.get(type(value), f"of the type {type(value).__name__}")


def _problem(error: Exception) -> str:
    """Returns what is wrong with a YAML file, and where if the parser says so.

    The file may hold secrets. So of the parser's message it takes only the words before the first quote from the file.
    """
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        position = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
        words = _PARSER_WORDS.match(error.problem or "")
        return f"{position}: {words[0].strip() if words else ''}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"a character that YAML does not allow, at {error.position}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it contains an impossible date or number"
