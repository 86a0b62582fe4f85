"""Draws the headlines of `labels.tsv` again: prints the part, id and kind of each, in the order of the file.

python tests/bench/names/draw.py
"""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path

SHARED = Path(os.environ.get("RISKWIRE_SHARED", Path(__file__).parents[4] / "shared")) / "data"
SETS = {"sentfin": "entity_sentiment/sentfin_train.jsonl", "tfns": "sentiment/tfns_train.jsonl"}
WORDS = Path(__file__).with_name("words.json")
SEED = 20261130
DRAWN = {"risky": 180, "named": 80, "any": 40}
"""Headlines of each kind: with a risky word, with another word of a name or a cashtag, and others."""
_WORD = re.compile(r"(?<![\w$@#/.])[A-Z][A-Za-z]+(?![\w])")
_ADDRESS = re.compile(r"https?://\S+")


def headlines() -> dict[str, str]:
    """Returns every headline of both sets by its id, which is the set and the row: `tfns:17`."""
    return {
        f"{name}:{row}": json.loads(line)["text"]
        for name, file in SETS.items()
        for row, line in enumerate((SHARED / file).open(encoding="utf-8"))
    }


def kind_of(text: str, words: dict[str, list[str]]) -> str:
    """Returns the kind of a headline, by the words that begin with a capital."""
    capitalised = {word.lower() for word in _WORD.findall(_ADDRESS.sub("", text))}
    if not capitalised.isdisjoint(words["risky"]):
        return "risky"
    return "named" if not capitalised.isdisjoint(words["names"]) or re.search(r"\$[A-Z]", text) else "any"


def drawn() -> list[tuple[str, str]]:
    """Returns the id and the kind of each headline, in the order of the labels."""
    words = json.loads(WORDS.read_text(encoding="utf-8"))
    by_kind: dict[str, list[str]] = {kind: [] for kind in DRAWN}
    for row, text in headlines().items():
        by_kind[kind_of(text, words)].append(row)
    draw = random.Random(SEED)
    rows = [(row, kind) for kind, count in DRAWN.items() for row in draw.sample(by_kind[kind], count)]
    draw.shuffle(rows)
    return rows


if __name__ == "__main__":
    print(f"seed {SEED}")
    rows = drawn()
    for number, (row, kind) in enumerate(rows):
        print("tune" if number < len(rows) // 2 else "final", row, kind, sep="\t")
