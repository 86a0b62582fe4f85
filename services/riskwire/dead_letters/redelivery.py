"""Replays dead letters of the last stages, notify and sink, by repeating the delivery or the store write.

Their records are not put back onto the topic, because the other groups that read it would get them again: a delivery
that one receiver missed would go to all, and an alert that the store missed would be notified again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType

from pydantic import TypeAdapter

from riskwire.bus import Message
from riskwire.dead_letters.reading import StoredDeadLetter
from riskwire.dead_letters.replay import CUT, NOT_BASE64
from riskwire.errors import SchemaError, StoreError
from riskwire.notify import NotifyStage
from riskwire.notify.outbox import Delivery
from riskwire.records import Alert, DeadLetter, read_record
from riskwire.settings import Settings
from riskwire.store import Store, sink_stages

_ALERT = TypeAdapter(Alert)
_MAX_ATTEMPTS = 3
_GIVE_UP_AFTER_S = 60.0
_MAX_BACKOFF_S = 5.0


def needs_redelivery(stored: StoredDeadLetter) -> bool:
    """Returns whether a dead letter is replayed by redelivery rather than by putting its record back."""
    return stored.letter.receiver is not None or stored.letter.stage.startswith("sink-")


class Redelivery:
    """Repeats deliveries and store writes. An asynchronous context manager; opens store and connections when needed.

    Args:
        deliver_old: delivers also alerts older than `notify.max_age_s`. A receiver would take last week's "firing",
            delivered after its "resolved", for a new alert, so this requires a user's explicit request.
    """

    def __init__(self, settings: Settings, *, deliver_old: bool) -> None:
        """Prepares redelivery to the receivers of the settings; connects to them and opens the store when needed.

        Args:
            deliver_old: delivers also alerts that are further from now than `notify.max_age_s`.

        Raises:
            SettingsError: a receiver cannot be used.
        """
        self._settings = settings
        self._deliver_old = deliver_old
        # A user waits for the result: give up earlier than the stage does.
        limits = {
            "attempts": min(_MAX_ATTEMPTS, settings.notify.attempts),
            "give_up_after_s": _GIVE_UP_AFTER_S,
            "backoff_max_s": _MAX_BACKOFF_S,
        }
        self._notify = NotifyStage(settings.notify.model_copy(update=limits), live=True)
        self._store: Store | None = None

    async def __aenter__(self) -> Redelivery:
        await self._notify.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the receivers, and the store if it was opened; an error of the context passes on."""
        await self._notify.__aexit__(kind, error, trace)
        if self._store is not None:
            self._store.close()

    async def redeliver(self, stored: StoredDeadLetter) -> str | None:
        """Repeats the delivery or the store write of a dead letter. Returns None, or why it failed.

        A dead letter with a receiver is of a delivery, one without of a write by the sink stage that it names. A record
        that was cut for its size cannot be repeated.
        """
        letter = stored.letter
        if letter.cut:
            return CUT
        try:
            message = Message(letter.topic, letter.partition, letter.offset, letter.key, stored.payload())
        except ValueError:
            return NOT_BASE64
        if letter.receiver is not None:
            return await self._deliver(message, letter.receiver)
        return await self._write(message, letter.stage)

    async def _deliver(self, message: Message, receiver: str) -> str | None:
        """Sends a notification of a dead letter to its receiver. Returns None, or why it was not delivered.

        An alert that is further from now than `notify.max_age_s` is sent only if the operator asked for old ones.
        """
        if receiver not in self._notify.receivers:
            return "its receiver is not in the settings of this process (`notify` in `riskwire config show`)"
        now = datetime.now(UTC)
        try:
            alert = read_record(_ALERT, message.value, message.where)
            max_age_s = self._settings.notify.max_age_s
            if abs((now - alert.at).total_seconds()) > max_age_s and not self._deliver_old:
                return (
                    f"its alert is of {alert.at:%Y-%m-%d %H:%M} UTC, further from now than notify.max_age_s "
                    f"({max_age_s:.0f} s); --again, or the place of this one dead letter, delivers it anyway"
                )
            error = await self._notify.deliver([Delivery(message, receiver, now.timestamp())])
        except SchemaError as unreadable:
            return str(unreadable)
        return None if error is None else str(error)

    async def _write(self, message: Message, stage: str) -> str | None:
        """Repeats the write of a sink stage into the store. Returns None, or why it failed.

        A sink answers a record that it cannot write with a dead letter, whose error is the reason.

        Args:
            stage: the name of the sink stage that could not write the record.
        """
        try:
            sinks = {sink.spec.name: sink for sink in sink_stages(self._open_store())}
            if stage not in sinks:
                return f"there is no stage {stage} in this version"
            step = await sinks[stage].open(message.partition, {}).process([message])
        except StoreError as error:
            return f"{error} (dead letters of a sink must be replayed where its store is)"
        except Exception as error:  # noqa: BLE001 - whatever prevents the write of this record is reported for it
            return f"{type(error).__name__}: {error}"
        return DeadLetter.model_validate_json(step.results[0].value).error if step.results else None

    def _open_store(self) -> Store:
        """Returns the store, opened at the first call.

        Raises:
            StoreError: there is no store, or it cannot be opened.
        """
        if self._store is None:
            # Opening it read-only first raises when there is no store, instead of creating an empty one.
            Store.open(self._settings, read_only=True).close()
            self._store = Store.open(self._settings)
        return self._store
