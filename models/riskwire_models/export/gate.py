"""The quality gate: the largest loss of accuracy against fp32 at which an exported precision may ship."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riskwire_models.data.labels import HEADS
from riskwire_models.errors import GateError

#: Largest loss of a head on the held-out split, in points (hundredths).
MAX_LOSS_POINTS = 1.0


@dataclass(frozen=True, slots=True)
class HeadLoss:
    """The score of a head in one precision, compared with its score in fp32. Scores are fractions."""

    precision: str
    head: str
    reference: float
    score: float

    @property
    def points(self) -> float:
        """Loss in points; negative if the precision scores better than fp32."""
        return 100.0 * (self.reference - self.score)


def head_losses(reference: Mapping[str, float], scores: Mapping[str, Mapping[str, float]]) -> list[HeadLoss]:
    """Returns the loss of each head in each precision.

    Args:
        reference: scores of fp32 by head, as fractions.
        scores: scores of each precision by head, as fractions.

    Raises:
        GateError: a head was not measured, so its precision must not ship.
    """
    losses: list[HeadLoss] = []
    for precision, heads in scores.items():
        for head in HEADS:
            if head not in reference or head not in heads:
                raise GateError(f"{precision}: {head} was not measured, so it cannot be compared with fp32")
            losses.append(HeadLoss(precision, head, reference[head], heads[head]))
    return losses


def check_head_losses(
    reference: Mapping[str, float], scores: Mapping[str, Mapping[str, float]], limit: float = MAX_LOSS_POINTS
) -> list[HeadLoss]:
    """Returns the losses of all heads.

    Raises:
        GateError: a loss exceeds ``limit``, in points; the message names each such head.
    """
    losses = head_losses(reference, scores)
    # The tolerance keeps rounding of a loss of exactly the limit from failing.
    excessive = [loss for loss in losses if loss.points > limit + 1e-9]
    if excessive:
        raise GateError(
            "; ".join(
                f"{loss.precision} {loss.head}: {loss.score:.4f} is {loss.points:.2f} points below fp32"
                f" ({loss.reference:.4f}), the limit is {limit:.2f}"
                for loss in excessive
            )
        )
    return losses


def check_batch_differences(precision: str, differing: int, compared: int) -> None:
    """Raises GateError if the logits of a sentence depend on its batch, or if no sentence was compared."""
    if compared == 0:
        raise GateError(
            f"{precision}: no sentence was compared alone and in batches, so the results may depend on the batch"
        )
    if differing:
        raise GateError(
            f"{precision}: {differing} of {compared} sentences gave different logits in a batch than alone;"
            " the limit is 0 (results must not depend on the batch)"
        )
