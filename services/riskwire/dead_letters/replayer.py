"""Replays dead letters: puts their records back in one step, or redelivers them and records that they were."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from riskwire.bus import Bus, update_state
from riskwire.dead_letters.reading import StoredDeadLetter, newer_records
from riskwire.dead_letters.redelivery import Redelivery, needs_redelivery
from riskwire.dead_letters.replay import PUBLISHER, Replay, decide_replay, replay_times
from riskwire.errors import SchemaError
from riskwire.pipeline import Topic

_RECORD_INTERVAL_S = 5.0
"""Time after which finished redeliveries are recorded, although others are still to be made."""


class Replayer:
    """Replays dead letters of one bus."""

    def __init__(self, bus: Bus, redelivery: Redelivery, first_offsets: Sequence[int], *, again: bool) -> None:
        """Prepares the replay of dead letters of one bus.

        Args:
            redelivery: repeats deliveries and store writes.
            first_offsets: the first offset that each partition of `dead-letters` still has; notes of replays of older
                dead letters are dropped.
            again: replays also what was replayed before, and records with a newer record of their key.
        """
        self._bus = bus
        self._redelivery = redelivery
        self._first_offsets = first_offsets
        self._again = again
        self._partitions = {str(topic): bus.partitions(topic) for topic in Topic}

    async def replay(self, dead_letters: Sequence[StoredDeadLetter]) -> Replay:
        """Replays some dead letters. Returns which were replayed, had been before, or could not be (with the reason).

        A failed delivery or store write is repeated (redelivered); any other record is put back onto its topic.
        """
        newer = await newer_records(self._bus, dead_letters)
        to_put_back = [stored for stored in dead_letters if not needs_redelivery(stored)]
        to_redeliver = [stored for stored in dead_letters if needs_redelivery(stored)]
        total = await self._put_back(to_put_back, newer) if to_put_back else Replay()
        if to_redeliver:
            replayed = replay_times(await self._bus.publisher_state(PUBLISHER))
            total = _sum(total, await self._redeliver(to_redeliver, newer, replayed))
        return total

    async def _put_back(self, dead_letters: Sequence[StoredDeadLetter], newer: Mapping[str, str]) -> Replay:
        """Puts records back onto their topics in one step; if the bus refuses it, each record in a separate step.

        A single record that the bus refuses is part of the result, with the error as the reason.

        Args:
            newer: the place of a newer record with the same key, by the place of the dead letter.
        """
        try:
            return await self._commit(dead_letters, newer, ())
        except SchemaError as error:
            if len(dead_letters) == 1:
                return Replay(refused=((dead_letters[0], str(error)),))
        total = Replay()
        for stored in dead_letters:
            total = _sum(total, await self._put_back([stored], newer))
        return total

    async def _redeliver(
        self, dead_letters: Sequence[StoredDeadLetter], newer: Mapping[str, str], replayed: Collection[str]
    ) -> Replay:
        """Redelivers dead letters, and records it every few seconds and at the end, also when it is cancelled.

        It is not recorded after each one, because every such step reads the whole state of the publisher. After a kill
        the redeliveries that were not recorded are repeated.

        Args:
            newer: the place of a newer record with the same key, by the place of the dead letter.
            replayed: the places of dead letters that were replayed before; they are skipped, unless `again` was set.
        """
        total, redelivered, recorded_at = Replay(), list[StoredDeadLetter](), time.monotonic()
        try:
            for stored in dead_letters:
                if stored.place in replayed and not self._again:
                    total = _sum(total, Replay(replayed_before=(stored,)))
                elif (obstacle := await self._redelivery.redeliver(stored)) is not None:
                    total = _sum(total, Replay(refused=((stored, obstacle),)))
                else:
                    redelivered.append(stored)
                    if time.monotonic() - recorded_at > _RECORD_INTERVAL_S:
                        finished, redelivered, recorded_at = redelivered, [], time.monotonic()
                        total = _sum(total, await self._record(finished, newer))
        finally:
            if redelivered:
                total = _sum(total, await self._record(redelivered, newer))
        return total

    async def _record(self, redelivered: Sequence[StoredDeadLetter], newer: Mapping[str, str]) -> Replay:
        return await self._commit(redelivered, newer, [stored.place for stored in redelivered])

    async def _commit(
        self, dead_letters: Sequence[StoredDeadLetter], newer: Mapping[str, str], redelivered: Collection[str]
    ) -> Replay:
        """Commits the step that puts dead letters back, or records that they were redelivered. Returns the outcome.

        Args:
            newer: the place of the newer record with the same key, by the place of the dead letter.
            redelivered: the places of dead letters that were redelivered already, and are only recorded.
        """

        def decide(state: Mapping[str, bytes]) -> Replay:
            """Returns the replay of the dead letters that the state, which notes past replays, allows."""
            return decide_replay(
                dead_letters,
                state,
                self._partitions,
                newer,
                datetime.now(UTC),
                again=self._again,
                redelivered=redelivered,
                first_offsets=self._first_offsets,
            )

        return await update_state(self._bus, PUBLISHER, decide)


def _sum(first: Replay, second: Replay) -> Replay:
    """Returns two outcomes of replays as one, for a report: their records and state changes are left out."""
    return Replay(
        replayed=first.replayed + second.replayed,
        replayed_before=first.replayed_before + second.replayed_before,
        refused=first.refused + second.refused,
    )
