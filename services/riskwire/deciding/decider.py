"""Publishes decisions, one after the other, and knows which decision each one replaces.

The decisions in force are the state of the publisher `decisions`: by alert, the last one that changed how it is
handled, and by subject, the mute. Two people who decide at once are serialised (`bus/state.py`): both decisions are in
the log, the later one counts, and its author learns which decision it replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from riskwire.bus import Bus, Outgoing, StateUpdate, update_state
from riskwire.pipeline import Topic
from riskwire.records import Command

PUBLISHER: Final = "decisions"
_MAX_ALERTS: Final = 2_000
"""Alerts whose last decision is known; those decided longest ago are forgotten first."""
_HANDLING: Final = ("acknowledge", "snooze", "assign", "false_alarm")
_ALERT: Final = "alert/"
_MUTE: Final = "mute/"


@dataclass(frozen=True, slots=True)
class PublishedDecision(StateUpdate):
    """A published decision, and the decision in force that it replaces; None if there was none."""

    replaced: Command | None = None


class Decider:
    """Publishes the decisions of people on one bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._lock = asyncio.Lock()

    async def publish(self, command: Command) -> Command | None:
        """Publishes a decision. Returns the decision that it replaces, or None.

        Concurrent calls wait for each other; between processes the retries of `update_state` let each publish in turn.
        A decision may be written twice, if the answer to the first commit was lost; it then counts once.

        Raises:
            BusError: the decision cannot be written.
        """
        async with self._lock:
            return (await update_state(self._bus, PUBLISHER, lambda state: _published(state, command))).replaced


def _published(state: Mapping[str, bytes], command: Command) -> PublishedDecision:
    """Returns the step that publishes a command.

    Args:
        state: the decisions in force.
    """
    subject = command.value.get("subject")
    key = _MUTE + str(subject) if subject else _ALERT + str(command.alert)
    record = Outgoing(Topic.COMMANDS, str(subject or command.alert), command.to_bytes())
    before = state.get(key)
    replaced = None if before is None else Command.model_validate_json(before)
    changes: dict[str, bytes | None] = {}
    if command.kind == "unmute":
        changes = {key: None} if before is not None else {}
    elif subject or command.kind in _HANDLING:
        changes = {key: command.to_bytes(), **_forgotten(state, key)}
    else:
        replaced = None
    return PublishedDecision([record], changes, replaced)


def _forgotten(state: Mapping[str, bytes], added: str) -> dict[str, None]:
    """Returns the removal of the oldest decisions, so that `_MAX_ALERTS` stay with the added one."""
    alerts = [key for key in state if key.startswith(_ALERT) and key != added]
    surplus = len(alerts) + 1 - _MAX_ALERTS
    if surplus <= 0:
        return {}
    oldest = sorted(alerts, key=lambda key: (Command.model_validate_json(state[key]).at, key))
    return dict.fromkeys(oldest[:surplus])
