"""Letters of the stages at the end of the way: what notify and sink do leaves the bus, so their work is done here.

To put such a record back onto its topic would give it once more to the other groups that read it: a delivery that one
receiver missed would go to all, an alert that the store missed would be notified again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType

from pydantic import TypeAdapter

from riskwire.bus import Message
from riskwire.dead_letters.letters import Letter
from riskwire.errors import SchemaError, StoreError
from riskwire.notify import NotifyStage
from riskwire.notify.outbox import Delivery
from riskwire.records import Alert, DeadLetter, read_record
from riskwire.settings import Settings
from riskwire.store import Store, sink_stages

_ALERT = TypeAdapter(Alert)
_TRIES = 3
_TRY_FOR_S = 60.0
_WAIT_MAX_S = 5.0


def is_errand(letter: Letter) -> bool:
    """Whether a letter is replayed by doing the work of its stage, rather than by putting its record back."""
    return letter.said.receiver is not None or letter.said.stage.startswith("sink-")


class Errands:
    """Does such work; opens the store and connections when they are first needed. An asynchronous context manager.

    Args:
        old_too: deliver also what is older than `notify.max_age_s`. A "firing" of last week, sent after its "resolved",
            would be news to whoever gets it; so somebody must have asked for it.
    """

    def __init__(self, settings: Settings, *, old_too: bool) -> None:
        self._settings = settings
        self._old_too = old_too
        patient = {
            "attempts": min(_TRIES, settings.notify.attempts),
            "give_up_after_s": _TRY_FOR_S,
            "backoff_max_s": _WAIT_MAX_S,
        }
        self._notify = NotifyStage(settings.notify.model_copy(update=patient), live=True)
        self._store: Store | None = None

    async def __aenter__(self) -> Errands:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._notify.close()
        if self._store is not None:
            self._store.close()

    async def run(self, letter: Letter) -> str | None:
        """Do the work of a letter again; why it could not be done, or None."""
        said = letter.said
        if said.cut:
            return "its record was too large to be kept whole"
        try:
            message = Message(said.topic, said.partition, said.offset, said.key, letter.payload())
        except ValueError:
            return "its record is not the base64 that it says it is"
        if said.receiver is not None:
            return await self._deliver(message, said.receiver)
        return await self._write(message, said.stage)

    async def _deliver(self, message: Message, receiver: str) -> str | None:
        if receiver not in self._notify.receivers:
            return "the receiver it was owed to is not in the settings here (notify.webhooks, notify.apprise)"
        now = datetime.now(UTC)
        try:
            alert = read_record(_ALERT, message.value, message.where)
            most_s = self._settings.notify.max_age_s
            if abs((now - alert.at).total_seconds()) > most_s and not self._old_too:
                return (
                    f"its alert is of {alert.at:%Y-%m-%d %H:%M}, further from now than notify.max_age_s "
                    f"({most_s:.0f} s); --again, or naming this one letter, delivers it all the same"
                )
            error = await self._notify.deliver(Delivery(message, receiver, now.timestamp()))
        except SchemaError as unreadable:
            return str(unreadable)
        return None if error is None else str(error)

    async def _write(self, message: Message, stage: str) -> str | None:
        try:
            sinks = {sink.spec.name: sink for sink in sink_stages(self._opened())}
            if stage not in sinks:
                return f"there is no stage {stage} any more"
            step = await sinks[stage].open(message.partition, {}).process([message])
        except StoreError as error:
            return f"{error} (a letter of a sink is replayed where the store is)"
        except Exception as error:  # noqa: BLE001 - whatever keeps this record from being written is told of it
            return f"{type(error).__name__}: {error}"
        return DeadLetter.model_validate_json(step.results[0].value).error if step.results else None

    def _opened(self) -> Store:
        if self._store is None:
            Store.open(self._settings, read_only=True).close()  # one that is not there must not be made
            self._store = Store.open(self._settings)
        return self._store
