"""Prints how far two readings of the same hundred texts agree.

    python tests/bench/bench_labels.py

A party that only one reader named counts as neutral, without events, for the other. Kappa is Cohen's (1960).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import riskwire_models

LABELS = Path(riskwire_models.__file__).parent / "labels"
#: Level code and events of each party of a text, by its span.
Reading = dict[tuple[int, int], tuple[str, frozenset[str]]]


def readings(path: Path) -> dict[str, Reading]:
    """Returns what a file says of each text, by the id of the text."""
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {
        row["id"]: {
            (target["start"], target["end"]): (target["level"], frozenset(target["events"]))
            for target in row["targets"]
        }
        for row in rows
    }


def kappa(pairs: Sequence[tuple[object, object]]) -> float:
    """Returns the agreement of two readers beyond chance; 1.0 if both always give one and the same label."""
    observed = sum(first == second for first, second in pairs) / len(pairs)
    counts = [Counter(pair[reader] for pair in pairs) for reader in (0, 1)]
    expected = sum(counts[0][label] * counts[1][label] for label in counts[0]) / len(pairs) ** 2
    return 1.0 if expected == 1.0 else (observed - expected) / (1.0 - expected)


def main() -> None:
    """Prints the number of texts and parties, and the agreement on adverse, levels and events."""
    first, second = readings(LABELS / "disagreements.jsonl"), readings(LABELS / "second_reading.jsonl")
    nothing = ("0", frozenset[str]())
    pairs = [
        (first[name].get(span, nothing), second[name].get(span, nothing))
        for name in second
        for span in sorted({*first[name], *second[name]})
    ]
    adverse = kappa([(first_label[0] in "12", second_label[0] in "12") for first_label, second_label in pairs])
    levels = kappa([(first_label[0], second_label[0]) for first_label, second_label in pairs])
    both = sum(len(first_label[1] & second_label[1]) for first_label, second_label in pairs)
    either = sum(len(first_label[1]) + len(second_label[1]) for first_label, second_label in pairs)
    print(f"{len(second)} texts, {len(pairs)} parties")
    print(f"adverse or not, kappa   {adverse:.2f}")
    print(f"four levels, kappa      {levels:.2f}")
    print(f"events, F1              {2 * both / either:.2f}")


if __name__ == "__main__":
    main()
