"""Files and directories that other users of the machine should not read."""

from __future__ import annotations

import stat
from pathlib import Path

from riskwire.settings.tree import Settings


def make_private_directory(path: Path) -> None:
    """Creates a directory, and its parents, which only its owner may enter. One that exists stays as it is.

    Raises:
        OSError: it cannot be created.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_to_others(settings: Settings) -> list[str]:
    """Returns a warning for each file with a secret, and the data directory, that every user of the machine can read.

    They are not refused: a container mounts secrets so, and a volume may not belong to this user.
    """
    secrets = {
        "web.token_file": settings.web.token_file,
        "web.key_file": settings.web.key_file,
        "kafka.password_file": settings.kafka.password_file,
        "kafka.key_file": settings.kafka.key_file,
        "store.password_file": settings.store.password_file,
        "notify.webhook_secret_file": settings.notify.webhook_secret_file,
        **{f"web.tokens[{place}].token_file": named.token_file for place, named in enumerate(settings.web.tokens)},
    }
    warnings = [
        f"{key}: every user of this machine can read {path}. Take that away with: chmod 600 {path}"
        for key, path in secrets.items()
        if path is not None and _mode(path) & stat.S_IROTH
    ]
    if _mode(settings.data) & (stat.S_IROTH | stat.S_IXOTH):
        warnings.append(f"data: every user of this machine can enter {settings.data}. Try: chmod 700 {settings.data}")
    return warnings


def _mode(path: Path) -> int:
    """Returns the permissions of a file or directory, or 0 if there is none."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0
