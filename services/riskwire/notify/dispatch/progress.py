"""How far the delivery of a message is, so that it can be stopped between two attempts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from riskwire.notify.outbox import Delivery


@dataclass(slots=True, eq=False)
class Progress:
    """The delivery of a message that is on its way.

    Attributes:
        is_attempting: whether an attempt is being made. It may arrive, so it is left to end.
        stopped: the deliveries of the message for which no further attempt is made.
    """

    is_attempting: bool = False
    stopped: set[Delivery] = field(default_factory=set)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Marks that an attempt is being made."""
        self.is_attempting = True
        try:
            yield
        finally:
            self.is_attempting = False
