"""What an exported precision must keep of the fp32 checkpoint before it may ship."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riskwire_models.data.labels import HEADS
from riskwire_models.errors import GateError

#: Points (hundredths) a head may lose on the held-out split.
LIMIT = 1.0


@dataclass(frozen=True, slots=True)
class Loss:
    """What a head lost, in points; negative when it gained."""

    precision: str
    head: str
    reference: float
    figure: float

    @property
    def points(self) -> float:
        return 100.0 * (self.reference - self.figure)


def losses(reference: Mapping[str, float], figures: Mapping[str, Mapping[str, float]]) -> list[Loss]:
    """What each head of each precision lost against fp32; figures are fractions, by head.

    Raises `GateError` when a head was not measured: what was not measured must not ship.
    """
    found: list[Loss] = []
    for precision, heads in figures.items():
        for head in HEADS:
            if head not in reference or head not in heads:
                raise GateError(f"{precision}: {head} was not measured, so it cannot be compared with fp32")
            found.append(Loss(precision, head, reference[head], heads[head]))
    return found


def check_losses(
    reference: Mapping[str, float], figures: Mapping[str, Mapping[str, float]], limit: float = LIMIT
) -> list[Loss]:
    """The losses; `GateError` names head, figure and limit where exceeded (exactly the limit passes)."""
    found = losses(reference, figures)
    broken = [one for one in found if one.points > limit + 1e-9]
    if broken:
        raise GateError(
            "; ".join(
                f"{one.precision} {one.head}: {one.figure:.4f} is {one.points:.2f} points below fp32"
                f" ({one.reference:.4f}), the limit is {limit:.2f}"
                for one in broken
            )
        )
    return found


def check_invariance(precision: str, differing: int, compared: int) -> None:
    """`GateError` when any sentence read differently beside other sentences, or when none was compared."""
    if compared == 0:
        raise GateError(f"{precision}: no sentence was compared, so invariance under batching is not shown")
    if differing:
        raise GateError(
            f"{precision}: {differing} of {compared} sentences gave other numbers beside other sentences;"
            " the limit is 0 (results must not depend on the batch)"
        )
