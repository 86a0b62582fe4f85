"""What a text says of a party: how bad it is (level), and what kind of thing happened (event types)."""

from __future__ import annotations

from typing import Literal

from riskwire.records.codec import Probability, Record

_EVENT_LABELS = {
    "credit_downgrade": "credit rating cut",
    "broker_downgrade": "cut by a broker",
    "results_bad": "bad results",
    "writedown": "write-down",
    "accounting": "accounting trouble",
    "recall": "recall or defect",
    "cyber": "cyber incident",
    "layoffs": "lay-offs",
    "labour": "labour dispute",
    "management_exit": "exit of a leader",
    "price_fall": "fall in price",
    "deal_failure": "deal fails",
    "operations": "trouble in operations",
    "reputation": "damage to reputation",
    "short_attack": "attack by a short seller or activist",
    "macro_stress": "economic stress",
    "regulation": "action of a regulator",
    "other": "adverse news",
}
"""Event types in words, where the code is not the word."""
MAX_EVENTS = 3
"""The most event types of a mention, a sentence or a signal."""
ADVERSE_FROM = 0.5
"""The `adverse` from which a mention counts as adverse when its bundle states no threshold."""


def event_label(event_type: str) -> str:
    """Returns an event type in words.

    >>> event_label("bankruptcy"), event_label("profit_warning"), event_label("results_bad")
    ('bankruptcy', 'profit warning', 'bad results')
    """
    return _EVENT_LABELS.get(event_type, event_type.replace("_", " "))


LevelLabel = Literal["neutral", "mild", "material", "favourable"]


class Level(Record):
    """How bad a text is for a party, for someone exposed to it: calibrated probabilities that sum to 1.

    Attributes:
        mild: mildly adverse, such as a disappointing result.
        material: materially adverse: it could change a credit or supplier decision.
        favourable: good for the party.
    """

    neutral: Probability
    mild: Probability
    material: Probability
    favourable: Probability

    @property
    def adverse(self) -> float:
        """The probability of mild or material."""
        return round(self.mild + self.material, 4)

    def label(self, adverse_from: float | None) -> LevelLabel:
        """Returns the level that is shown to a person.

        It is the likelier one of mild and material if the mention counts as adverse, otherwise of neutral and
        favourable. Of equal ones, material and neutral are shown.

        Args:
            adverse_from: the `adverse` from which a mention counts as adverse; None for `ADVERSE_FROM`.
        """
        if self.adverse >= (ADVERSE_FROM if adverse_from is None else adverse_from):
            return "material" if self.material >= self.mild else "mild"
        return "favourable" if self.favourable > self.neutral else "neutral"


class EventScore(Record):
    """One event type (of `EVENT_TYPES`) and its calibrated probability."""

    label: str
    score: Probability
