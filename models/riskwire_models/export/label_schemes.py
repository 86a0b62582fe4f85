"""The labels of other people's checkpoints in the order and the scheme of a bundle.

Sentiment: ``positive``, ``negative`` and ``neutral`` in any order and case. Entities: PER, ORG, LOC and MISC in the
schemes BIO (also IOB1, in which a name begins with I-), IO and BIOES or BILOU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riskwire_models.data.labels import ENTITY_TYPES, SENTIMENTS
from riskwire_models.errors import ExportError

_TYPES = {
    "PER": "PER", "PERSON": "PER", "ORG": "ORG", "ORGANIZATION": "ORG", "ORGANISATION": "ORG", "LOC": "LOC",
    "LOCATION": "LOC", "MISC": "MISC", "MISCELLANEOUS": "MISC",
}  # fmt: skip
#: Prefixes of BIO, IOB, BIOES and BILOU, by whether the word begins a name or continues it.
_PREFIXES = {"B": "B", "S": "B", "U": "B", "I": "I", "E": "I", "L": "I"}


@dataclass(frozen=True, slots=True)
class EntityScheme:
    """Which labels of a checkpoint mean what. The probability of a tag is the sum over its labels.

    Attributes:
        outside: number of the label for words outside names.
        beginning: numbers of the labels for the first word of a name, by type; none in an IO scheme.
        inside: numbers of the labels for the other words of a name, by type; in an IO scheme for all its words.
    """

    outside: int
    beginning: Mapping[str, tuple[int, ...]]
    inside: Mapping[str, tuple[int, ...]]

    @property
    def types(self) -> tuple[str, ...]:
        """The types of entities that the checkpoint knows."""
        return tuple(kind for kind in ENTITY_TYPES if self.beginning[kind] or self.inside[kind])


def sentiment_order(labels: Mapping[int, str]) -> list[int]:
    """Returns the numbers of the labels negative, neutral and positive, in this order.

    Raises:
        ExportError: the labels are other ones.
    """
    numbers = {label.strip().lower(): number for number, label in labels.items()}
    if len(labels) != len(SENTIMENTS) or set(numbers) != set(SENTIMENTS):
        raise ExportError(
            f"the labels of the sequence classifier are {_listed(labels)}; they must be negative, neutral and positive,"
            " in any order and case: set id2label in its config.json"
        )
    return [numbers[label] for label in SENTIMENTS]


def entity_scheme(labels: Mapping[int, str]) -> EntityScheme:
    """Returns the scheme of the labels of a token classifier.

    Raises:
        ExportError: a label is not O, and not a tag of PER, ORG, LOC or MISC; or two schemes are mixed.
    """
    outside: list[int] = []
    tags: dict[str, dict[str, list[int]]] = {"B": {}, "I": {}}
    unprefixed: list[str] = []
    unknown: list[str] = []
    for number, label in sorted(labels.items()):
        prefix, dash, kind = label.strip().upper().replace("_", "-").partition("-")
        if label.strip().upper() == "O":
            outside.append(number)
        elif not dash and prefix in _TYPES:
            unprefixed.append(label)
            tags["I"].setdefault(_TYPES[prefix], []).append(number)
        elif prefix in _PREFIXES and kind in _TYPES:
            tags[_PREFIXES[prefix]].setdefault(_TYPES[kind], []).append(number)
        else:
            unknown.append(label)
    is_mixed = bool(unprefixed) and len(unprefixed) + len(outside) < len(labels)
    if unknown or is_mixed or len(outside) != 1 or len(labels) < 2:
        wrong = f", of which {', '.join(unknown)} cannot be mapped" if unknown else ""
        raise ExportError(
            f"the labels of the token classifier are {_listed(labels)}{wrong}; they must be O and tags of PER, ORG, LOC"
            " and MISC, in the scheme BIO, IO or BIOES: set id2label in its config.json"
        )
    return EntityScheme(
        outside[0],
        {kind: tuple(tags["B"].get(kind, ())) for kind in ENTITY_TYPES},
        {kind: tuple(tags["I"].get(kind, ())) for kind in ENTITY_TYPES},
    )


def _listed(labels: Mapping[int, str]) -> str:
    return ", ".join(repr(label) for _, label in sorted(labels.items()))
