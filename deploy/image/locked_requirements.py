"""Prints the part of a lock file that an installation needs: `locked_requirements.py LOCK EXTRA…`, or `LOCK =NAME…`.

requirements.lock holds everything that a developer needs. An image needs the dependencies of riskwire and of a few
extras, with the same versions and hashes. The comments that uv writes (`# via`) say which package asked for which.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def blocks(lock: str) -> dict[str, str]:
    """Returns the lines of each package in a lock file, by its name."""
    texts: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        if line[0] not in " #\n":
            name = normalised(line)
        if name:
            texts[name] = texts.get(name, "") + line
    return texts


def normalised(requirement: str) -> str:
    """Returns the name at the start of a requirement in the one form in which names are compared."""
    matched = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    if matched is None:
        raise SystemExit(f"locked_requirements.py: not a requirement: {requirement!r}")
    return re.sub(r"[-_.]+", "-", matched[0]).lower()


def closure(packages: Mapping[str, str], roots: Iterable[str]) -> list[str]:
    """Returns the names of the roots and of all that they need, in the order of the lock.

    Raises:
        SystemExit: a root is not in the lock.
    """
    parents = {name: set(re.findall(r"^ +#(?: via)? +(\S+)$", text, re.M)) for name, text in packages.items()}
    needed = set(roots)
    missing = needed - packages.keys()
    if missing:
        raise SystemExit(f"locked_requirements.py: not in the lock: {', '.join(sorted(missing))}. Run `make lock`.")
    while added := {name for name in packages.keys() - needed if parents[name] & needed}:
        needed |= added
    return [name for name in packages if name in needed]


def main(arguments: Sequence[str]) -> None:
    """Prints the requirements. An argument is an extra of riskwire, or with `=` before it the name of a package."""
    lock, *wanted = arguments
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    roots = [normalised(name[1:]) for name in wanted if name.startswith("=")]
    extras = [name for name in wanted if not name.startswith("=")]
    if extras:
        roots += map(normalised, project["dependencies"])
    for extra in extras:
        roots += map(normalised, project["optional-dependencies"][extra])
    packages = blocks(Path(lock).read_text(encoding="utf-8"))
    sys.stdout.write("".join(packages[name] for name in closure(packages, roots)))


if __name__ == "__main__":
    main(sys.argv[1:])
