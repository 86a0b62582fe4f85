"""A rival, and its knob turned so that it notifies as often as another alarm. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from riskwire.backtest.matching import Notification

_STEPS = 24
"""Halvings of the range of a knob."""


class Rival(Protocol):
    """A simpler alarm."""

    @property
    def name(self) -> str:
        """What the report calls it."""
        ...

    @property
    def settings(self) -> Sequence[float]:
        """The range of its knob, from where it notifies most to where it notifies least; or each of its settings."""
        ...

    def notifications(self, setting: float) -> list[Notification]:
        """Returns what it tells at a setting of its knob."""
        ...


def at_number(rival: Rival, number: int) -> tuple[float, list[Notification]]:
    """Returns the setting at which a rival notifies nearest to `number` times, and the notifications.

    With two settings, the range between them is halved; with more, each is tried by halving the list.
    """
    settings = list(rival.settings)
    if len(settings) == 2:
        low, high = settings
        tried: dict[float, list[Notification]] = {}
        for _ in range(_STEPS):
            middle = (low + high) / 2
            tried[middle] = rival.notifications(middle)
            if len(tried[middle]) == number:
                break
            if len(tried[middle]) > number:
                low = middle
            else:
                high = middle
    else:
        tried = {}
        first, last = 0, len(settings) - 1
        while first <= last:
            middle_index = (first + last) // 2
            setting = settings[middle_index]
            tried[setting] = rival.notifications(setting)
            if len(tried[setting]) > number:
                first = middle_index + 1
            else:
                last = middle_index - 1
    best = min(tried, key=lambda setting: abs(len(tried[setting]) - number))
    return best, tried[best]
