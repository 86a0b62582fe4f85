"""The plan of a run's faults: their kinds, order and distances, all derived from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

FaultKind = Literal[
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
    "replayer suspended and replaced",
    "duplicate and malformed articles",
    "several at once",
    "service restarted, worker by worker",
    "service upgraded or rolled back, worker by worker",
    "PostgreSQL killed and started",
    "PostgreSQL frozen",
    "PostgreSQL connections cut",
]
POSTGRESQL_FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)[-3:]
"""Kinds of faults of a store on PostgreSQL."""
UPGRADE_FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)[-5:-3]
"""What upgrades do, which is only injected when asked for (`--only`)."""
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)[:-5]
"""All other kinds."""

_WEIGHTS: dict[FaultKind, int] = {
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
    "service restarted, worker by worker": 1,
    "service upgraded or rolled back, worker by worker": 1,
    "replayer killed": 1,
    "replayer suspended and replaced": 1,
    "duplicate and malformed articles": 1,
    "several at once": 3,
    "PostgreSQL killed and started": 2,
    "PostgreSQL frozen": 2,
    "PostgreSQL connections cut": 3,
}
_COMBINABLE: tuple[FaultKind, ...] = (
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
TRANSACTION_FAULTS: tuple[FaultKind, ...] = ("SIGKILL in a transaction", "SIGSTOP in a transaction, SIGCONT")


@dataclass(frozen=True, slots=True)
class Fault:
    """A planned fault.

    Attributes:
        number: position in the plan, from 1.
        after_s: seconds between the start of the previous fault and the start of this fault.
        seed: seed of its details, such as the worker it hits.
        parts: the faults that "several at once" consists of.
    """

    number: int
    kind: FaultKind
    after_s: float
    seed: int
    parts: tuple[Fault, ...] = ()


def plan_faults(
    count: int, every_s: float, rng: random.Random, only: tuple[FaultKind, ...] = FAULT_KINDS
) -> Iterator[Fault]:
    """Yields ``count`` faults, on average ``every_s`` seconds apart.

    Each kind comes once before any is repeated; after that, frequent kinds come as often as their weight says.

    Args:
        only: the kinds to choose from. The parts of "several at once" may be of other kinds.
    """
    deck: list[FaultKind] = list(only)
    rng.shuffle(deck)
    for number in range(1, count + 1):
        if not deck:
            deck = [kind for kind in only for _ in range(_WEIGHTS[kind])]
            rng.shuffle(deck)
        kind = deck.pop()
        parts: tuple[Fault, ...] = ()
        if kind == "several at once":
            part_kinds = rng.sample(_COMBINABLE, rng.choice((2, 2, 3)))
            parts = tuple(Fault(number, part_kind, 0.0, rng.getrandbits(32)) for part_kind in part_kinds)
        yield Fault(number, kind, every_s * rng.uniform(0.4, 1.6), rng.getrandbits(32), parts)
