"""The decisions stage: commands in; decisions about alerts out, on every partition of `alerts`.

Every reader of a partition then obeys a decision from the same place of its log on (decision 0042).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, get_args

from pydantic import TypeAdapter, ValidationError

from riskwire.bus import Message, Outgoing
from riskwire.bus.protocol import broadcast
from riskwire.errors import SchemaError
from riskwire.pipeline import DECISIONS, Topic
from riskwire.records import Command, Decision, DecisionKind, read_record, schema_error
from riskwire.stage import KeyedState, Step, dead_letter

_COMMANDS: Final = TypeAdapter(Command)
_KINDS: Final = frozenset(get_args(DecisionKind))
_PARTITIONS: Final = "partitions"


class DecisionsStage:
    """Publishes the decisions of people to the readers of alerts.

    Args:
        alert_partitions: the number of partitions of `alerts`.
    """

    spec = DECISIONS

    def __init__(self, alert_partitions: int) -> None:
        self._alert_partitions = alert_partitions

    def open(self, partition: int, state: Mapping[str, bytes]) -> DecisionsTask:
        """Returns a task that continues from the committed state."""
        return DecisionsTask(self._alert_partitions, state)


class DecisionsTask:
    """The work on the single partition of commands.

    State: `mute/SUBJECT` (the mutes in force) and `partitions` (the number of partitions that have received them).
    """

    def __init__(self, alert_partitions: int, state: Mapping[str, bytes]) -> None:
        self._partitions = alert_partitions
        self._informed_partitions = int(state.get(_PARTITIONS, b"0"))
        self._mutes: KeyedState[Decision] = KeyedState(
            "mute/", state, encode=Decision.to_bytes, decode=Decision.model_validate_json
        )

    async def first_step(self) -> Step:
        """Sends the mutes in force to the partitions that were added since the last step."""
        return Step(list(self._mutes_of_new_partitions()), self._take_partitions()) if len(self._mutes) else Step()

    async def process(self, batch: Sequence[Message]) -> Step:
        """Sends the decisions of a batch of commands to every partition of `alerts`, in order.

        A command that cannot be read becomes a dead letter. Commands that are no decision are ignored.

        Returns:
            a step with the decisions and dead letters, and the changed state.
        """
        step = Step()
        for message in batch:
            try:
                decision = decision_of(message)
            except SchemaError as error:
                step.results.append(dead_letter(DECISIONS.name, message, error))
                continue
            if decision is None:
                continue
            step.results.extend(broadcast(Topic.ALERTS, decision.to_bytes(), self._partitions))
            self._take_mute(decision)
        changes = self._mutes.take_changes()
        if changes:
            step.state = changes | self._take_partitions()
        return step

    def _take_mute(self, decision: Decision) -> None:
        """Takes a mute into force, or out of it; forgets those that ended before this decision."""
        self._forget_ended(decision.at)
        if decision.subject is None:
            return
        if decision.decision == "mute":
            self._mutes.set(decision.subject, decision)
        elif decision.subject in self._mutes:
            self._mutes.delete(decision.subject)

    def _forget_ended(self, now: datetime) -> None:
        ended = [name for name, mute in self._mutes.entries.items() if mute.until is not None and mute.until <= now]
        for name in ended:
            self._mutes.delete(name)

    def _mutes_of_new_partitions(self) -> Iterator[Outgoing]:
        """Yields the mutes in force for each partition of `alerts` that was added since the last run."""
        for mute in self._mutes.entries.values():
            for partition in range(self._informed_partitions, self._partitions):
                yield Outgoing(Topic.ALERTS, None, mute.to_bytes(), partition)

    def _take_partitions(self) -> dict[str, bytes | None]:
        """Returns the change of the state that notes how many partitions have the mutes; empty if unchanged."""
        if self._informed_partitions == self._partitions:
            return {}
        self._informed_partitions = self._partitions
        return {_PARTITIONS: str(self._partitions).encode()}


def decision_of(message: Message) -> Decision | None:
    """Returns the decision of a command, or None for a command of another kind.

    Raises:
        SchemaError: the command cannot be read, or lacks what its kind needs.
    """
    command = read_record(_COMMANDS, message.value, message.where)
    if command.kind not in _KINDS:
        return None
    value, mutes = command.value, command.kind in ("mute", "unmute")
    if mutes and not isinstance(value.get("subject"), str):
        raise SchemaError("value.subject: a mute needs one", value=value.get("subject"), where=message.where)
    if not mutes and command.alert is None:
        raise SchemaError(f"alert: {command.kind} needs one", where=message.where)
    try:
        return Decision(
            decision=command.kind,
            alert=None if mutes else command.alert,
            target=command.target,
            subject=value["subject"] if mutes else None,
            until=command.until,
            assignee=value.get("assignee") or "",
            reason=value.get("reason"),
            by=command.by,
            at=command.at,
            comment=command.comment,
            command=message.offset,
        )
    except ValidationError as error:
        raise schema_error(error, message.where) from None
