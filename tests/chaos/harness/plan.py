"""Which faults come, in what order and how far apart: all from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "SIGKILL",
    "SIGKILL in a transaction",
    "SIGSTOP, SIGCONT",
    "SIGSTOP in a transaction, SIGCONT",
    "broker restarted",
    "broker killed and started",
    "connections cut",
    "connections refused",
    "traffic delayed",
    "traffic stalled",
    "worker added",
    "worker removed",
    "replayer killed",
    "replayer asleep, another in its place",
    "repeats and garbage on articles",
    "several at once",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_WEIGHTS: dict[Kind, int] = {
    "SIGKILL": 3,
    "SIGKILL in a transaction": 4,
    "SIGSTOP, SIGCONT": 2,
    "SIGSTOP in a transaction, SIGCONT": 5,
    "broker restarted": 1,
    "broker killed and started": 1,
    "connections cut": 3,
    "connections refused": 1,
    "traffic delayed": 2,
    "traffic stalled": 2,
    "worker added": 2,
    "worker removed": 2,
    "replayer killed": 1,
    "replayer asleep, another in its place": 1,
    "repeats and garbage on articles": 1,
    "several at once": 3,
}
_TOGETHER: tuple[Kind, ...] = (
    "SIGKILL",
    "SIGKILL in a transaction",
    "SIGSTOP, SIGCONT",
    "SIGSTOP in a transaction, SIGCONT",
    "connections cut",
    "traffic stalled",
    "worker added",
    "worker removed",
    "replayer killed",
)
AIMED: tuple[Kind, ...] = ("SIGKILL in a transaction", "SIGSTOP in a transaction, SIGCONT")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: how long after the one before it begins, and the seed of its details. `parts` come together."""

    number: int
    kind: Kind
    after_s: float
    seed: int
    parts: tuple[Fault, ...] = ()


def faults(count: int, every_s: float, chance: random.Random, only: tuple[Kind, ...] = KINDS) -> Iterator[Fault]:
    """So many faults, `every_s` apart in the mean; where there are enough of them every kind comes at least once."""
    deck: list[Kind] = list(only)
    chance.shuffle(deck)
    for number in range(1, count + 1):
        if not deck:
            deck = [kind for kind in only for _ in range(_WEIGHTS[kind])]
            chance.shuffle(deck)
        kind = deck.pop()
        parts: tuple[Fault, ...] = ()
        if kind == "several at once":
            together = chance.sample(_TOGETHER, chance.choice((2, 2, 3)))
            parts = tuple(Fault(number, part, 0.0, chance.getrandbits(32)) for part in together)
        yield Fault(number, kind, every_s * chance.uniform(0.4, 1.6), chance.getrandbits(32), parts)
