"""Builds `english_words.txt` from English texts that may be shipped from.

    python -m riskwire.ingest.parsing.language.build shared/data

The texts are the Twitter financial news (MIT), FinEntity (ODC-BY) and SEntFiN (MIT) training sets, and the
public-domain news of the Groningen Meaning Bank. A word is listed if it occurs in lower case at least three times.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from riskwire.ingest.parsing.language.english import FOREIGN_WORDS, SHARED_WORDS, WORDS_FILE

_TEXTS = (
    "sentiment/tfns_train.jsonl",
    "topic/tfn_topic_train.jsonl",
    "entity_sentiment/finentity_train.jsonl",
    "entity_sentiment/sentfin_train.jsonl",
)
_TAGGED_NEWS = "ner/gmb.bio"
_NO_PROSE = re.compile(r"https?://\S+|[@#$]\w+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_MIN_COUNT = 3


def words_of(texts: Iterator[str]) -> list[str]:
    """Returns the words of English texts that occur often enough in lower case, sorted."""
    counts = Counter(word for text in texts for word in _WORD.findall(_NO_PROSE.sub("", text)) if word.islower())
    return sorted(
        word
        for word, count in counts.items()
        if count >= _MIN_COUNT and len(word) > 1 and word.isascii() and word not in FOREIGN_WORDS | SHARED_WORDS
    )


def _texts(data: Path) -> Iterator[str]:
    """Yields the texts; of the tagged news only the words that are no part of a name."""
    for name in _TEXTS:
        with (data / name).open(encoding="utf-8") as lines:
            yield from (json.loads(line)["text"] for line in lines)
    with (data / _TAGGED_NEWS).open(encoding="utf-8") as lines:
        yield from (word for word, _, tag in (line.rstrip("\n").partition("\t") for line in lines) if tag == "O")


def main(data: Path, target: Path = WORDS_FILE) -> None:
    """Reads the texts in a folder and writes the words. Equal input gives equal bytes."""
    target.write_text("".join(f"{word}\n" for word in words_of(_texts(data))), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
