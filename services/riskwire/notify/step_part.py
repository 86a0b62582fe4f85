"""What one alert record, or the deliveries that have ended, add to a step of the notify stage."""

from __future__ import annotations

from dataclasses import dataclass

from riskwire.bus import Message, Outgoing
from riskwire.notify.outbox import Delivery
from riskwire.notify.retry import AttemptError


@dataclass(frozen=True, slots=True)
class Attempted:
    """A delivery that arrived (no error) or was given up, at a Unix time."""

    delivery: Delivery
    error: AttemptError | None
    at: float


@dataclass(frozen=True, slots=True)
class StepPart:
    """The part of a step that one alert record adds; without a message, the part that finished deliveries add."""

    position: int
    results: list[Outgoing]
    state: dict[str, bytes | None]
    message: Message | None = None
    deliveries: tuple[Delivery, ...] = ()
