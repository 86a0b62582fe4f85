"""The list of events that should be reported: dated, each with its target, severity and type."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from riskwire.errors import SettingsError

FROM = timedelta(hours=-24)
UNTIL = timedelta(hours=72)
"""A notification tells an event from 24 hours before to 72 hours after its day begins (00:00 UTC): on the day before,
on the day and on the two days after it."""
CRISIS = 3
_FIELDS = ("date", "target", "severity", "type", "what")


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event of the list.

    Attributes:
        line: the number of the line in the archive, from 0, of the first story about it; None if the list has no lines.
        severity: 2 for a material event, 3 for a crisis.
        type: its event type.
    """

    line: int | None
    day: date
    target: str
    severity: int
    type: str
    what: str

    @property
    def begins(self) -> datetime:
        """The beginning of its day."""
        return datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)

    def covers(self, moment: datetime) -> bool:
        """Returns whether a notification at a moment is in time for the event."""
        return FROM <= moment - self.begins <= UNTIL


def read_events(path: Path) -> Sequence[ListedEvent]:
    """Returns the events of a file: values between tabs, with the names of the fields in its first line.

    Raises:
        SettingsError: the file cannot be read, or a line is no event. The message names the line and the field.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError("the list of events cannot be read", where=str(path)) from error
    if not rows:
        raise SettingsError("the list of events is empty", where=str(path))
    missing = [name for name in _FIELDS if name not in rows[0]]
    if missing:
        raise SettingsError(
            f"the first line lacks {', '.join(missing)}",
            value=list(rows[0]),
            where=str(path),
            do=f"Name the fields line, {', '.join(_FIELDS)}, with tabs between them",
        )
    return [_event(row, f"{path}, line {number}") for number, row in enumerate(rows, start=2)]


def _event(row: dict[str, str | None], where: str) -> ListedEvent:
    """Returns the event of a row.

    Raises:
        SettingsError: a field is missing or wrong.
    """
    values = {name: (row.get(name) or "").strip() for name in ("line", *_FIELDS)}
    for name in ("date", "target", "severity", "type"):
        if not values[name]:
            raise SettingsError(f"{name} is missing", where=where)
    try:
        day = date.fromisoformat(values["date"])
    except ValueError:
        raise SettingsError("date is no day such as 2009-01-31", value=values["date"], where=where) from None
    if values["severity"] not in ("2", "3"):
        raise SettingsError("severity is neither 2 (material) nor 3 (crisis)", value=values["severity"], where=where)
    if values["line"] and not values["line"].isdigit():
        raise SettingsError("line is no number", value=values["line"], where=where)
    line = int(values["line"]) if values["line"] else None
    return ListedEvent(line, day, values["target"], int(values["severity"]), values["type"], values["what"])
