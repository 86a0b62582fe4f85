"""Copies the store and the embedded bus into a folder, and restores them from it.

The bus is copied before the store. So the copied store has every record that the positions in the copied bus count as
stored. If it has further records, they are written again after a restore, without effect.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from shutil import rmtree

import orjson

from riskwire import __version__
from riskwire.bus.embedded import schema
from riskwire.bus.embedded.bus import FILE
from riskwire.bus.embedded.lock import lock_data_dir
from riskwire.errors import BusError, SettingsError
from riskwire.settings import Settings
from riskwire.settings.permissions import make_private_directory
from riskwire.store.backups import backup_store, copy_database, restore_store
from riskwire.store.tables import SCHEMA_VERSION

_MANIFEST = "backup.json"


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds.

    Attributes:
        rows: the number of rows of each table of the store.
        bus: whether it has the embedded bus; on Kafka it has not.
    """

    rows: dict[str, int]
    bus: bool


def back_up(settings: Settings, folder: Path, now: datetime) -> Backup:
    """Copies store and embedded bus into a new folder, while processes use them. The folder appears when complete.

    Raises:
        SettingsError: the folder exists or cannot be created.
        RiskwireError: store or bus cannot be read, or were written by another version.
    """
    embedded = settings.bus.url == "embedded"
    with _new_folder(folder) as part:
        if embedded:
            _copy_bus(settings.data / FILE, part / FILE)
        rows = backup_store(settings, part)
        manifest = {
            "riskwire": __version__,
            "made_at": now.isoformat(timespec="seconds"),
            "schema": SCHEMA_VERSION,
            "bus": schema.VERSION if embedded else None,
            "rows": rows,
            "files": {path.name: _digest(path) for path in sorted(part.iterdir())},
        }
        (part / _MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    return Backup(rows, embedded)


def restore(settings: Settings, folder: Path) -> Backup:
    """Restores store and embedded bus from a backup. Overwrites nothing: both must be empty or missing.

    Raises:
        SettingsError: the folder is no complete backup of this version, or there is a bus already.
        InUseError: a process uses the data directory.
        RiskwireError: store or bus cannot be written.
    """
    manifest = _checked(folder)
    embedded = settings.bus.url == "embedded"
    if embedded and manifest["bus"] is None:
        raise SettingsError("the backup has no embedded bus", where=str(folder), do="Set bus.url as it was.")
    bus = settings.data / FILE
    with lock_data_dir(settings.data) if embedded else nullcontext():
        if embedded and bus.exists():
            raise SettingsError(
                "there is a bus already", where=str(bus), do="Name another directory with --data; none is overwritten"
            )
        rows = restore_store(settings, folder)
        if rows != manifest["rows"]:
            raise SettingsError("the restored store has other numbers of rows than the backup", where=str(folder))
        if embedded:
            _copy_bus(folder / FILE, bus)
    return Backup(rows, embedded)


def _checked(folder: Path) -> dict[str, object]:
    """Returns the manifest of a backup whose files are complete and unchanged.

    Raises:
        SettingsError: it is not, or another version made it.
    """
    try:
        manifest = orjson.loads((folder / _MANIFEST).read_bytes())
        changed = [name for name, digest in manifest["files"].items() if _digest(folder / name) != digest]
        versions = manifest["schema"], manifest["bus"]
    except (OSError, KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        raise SettingsError("this is no complete backup", where=str(folder)) from error
    if changed:
        raise SettingsError("files of the backup were changed", value=changed, where=str(folder))
    if versions[0] != SCHEMA_VERSION or versions[1] not in (None, schema.VERSION):
        raise SettingsError(
            f"the backup was made by riskwire {manifest['riskwire']} (store {versions[0]}, bus {versions[1]}; this one "
            f"has {SCHEMA_VERSION} and {schema.VERSION})",
            where=str(folder),
            do="Restore it with that version",
        )
    return manifest  # type: ignore[no-any-return]


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Yields a folder that gets its name when the body ends, and is removed if it fails.

    Raises:
        SettingsError: the folder exists or cannot be created.
    """
    if folder.exists():
        raise SettingsError("this folder exists", value=str(folder), do="Name a new one")
    part = folder.with_name(f".{folder.name}.part")
    try:
        rmtree(part, ignore_errors=True)
        make_private_directory(part)
    except OSError as error:
        raise SettingsError("the folder cannot be created", value=str(folder)) from error
    try:
        yield part
        part.rename(folder)
    finally:
        rmtree(part, ignore_errors=True)


def _copy_bus(source: Path, target: Path) -> None:
    """Copies a bus file that processes may be using.

    Raises:
        BusError: it does not exist, is not a bus of this version, or cannot be copied.
    """
    if not source.exists():
        raise BusError("there is no bus", where=str(source), do="Name the --data of `riskwire run` or `replay`")
    schema.check(source)
    part = target.with_name(f"{target.name}.part")
    try:
        copy_database(source, part)
        part.rename(target)
    except (sqlite3.Error, OSError) as error:
        raise BusError("the bus cannot be copied", where=str(target)) from error
    finally:
        part.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
