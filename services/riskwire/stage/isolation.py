"""Isolation of refused records: after a step of several items failed, each item is taken in a separate step.

A refused item does not affect the others: its dead letter is committed with the next item that is accepted, or at the
end. When every item is refused, the stage is at fault rather than the items. It then stops. The dead letters were not
committed, so a repaired stage reads the same items again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from riskwire.errors import RiskwireError, is_fatal

MAX_REFUSED_IN_A_ROW = 25
"""A stage stops when it has refused this many records in a row."""

T = TypeVar("T")
R = TypeVar("R")


class Isolation:
    """Takes items one by one, and counts refused records in a row over all steps of one partition or source.

    Args:
        stage: the name of the stage, for the message of the error that stops it.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._refused_in_a_row = 0

    def accepted(self) -> None:
        """Ends the row of refused records: a step with records was committed."""
        self._refused_in_a_row = 0

    async def take_each(
        self,
        items: Sequence[T],
        *,
        take: Callable[[T, Sequence[R]], Awaitable[None]],
        refuse: Callable[[T, Exception], Awaitable[R]],
        finish: Callable[[Sequence[R]], Awaitable[None]],
        place: Callable[[T], str | None],
    ) -> None:
        """Takes each item in a separate step.

        An item whose step fails with an error that is not fatal is refused: a substitute, such as a dead letter, is
        committed in its place. Refused records are counted over all calls, until a record is accepted.

        Args:
            take: commits an item, together with the substitutes of the refused items before it.
            refuse: returns what is committed in place of an item that failed with an error; may raise that error.
            finish: commits the substitutes that were not committed with an item.
            place: where the record of an item was read; None for an item that is not a record and is not counted.

        Raises:
            RiskwireError: `MAX_REFUSED_IN_A_ROW` records in a row were refused. Substitutes that were not committed
                are dropped.
            Exception: a fatal error of a step, or an error of `refuse` or `finish`; the same applies.
        """
        substitutes: list[R] = []  # of the items that were refused since the last accepted one
        for item in items:
            try:
                await take(item, substitutes)
            except Exception as error:
                if is_fatal(error):
                    raise
                self._count_refused(place(item), error)
                substitutes.append(await refuse(item, error))
            else:
                substitutes = []
                if place(item) is not None:
                    self.accepted()
        if substitutes:
            await finish(substitutes)

    def _count_refused(self, place: str | None, error: Exception) -> None:
        """Counts a refused record, and raises when too many in a row were refused, which stops the stage.

        Args:
            error: why the record was refused; the cause of the error that is raised.
            place: where the record was read; None for an item that is not a record and is not counted.

        Raises:
            RiskwireError: `MAX_REFUSED_IN_A_ROW` records in a row were refused.
        """
        if place is None:
            return
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= MAX_REFUSED_IN_A_ROW:
            raise RiskwireError(
                f"stage {self._stage} failed on {self._refused_in_a_row} records in a row; it stops so that none is "
                "lost",
                where=place,
                do="Fix what the error says and start again",
            ) from error
