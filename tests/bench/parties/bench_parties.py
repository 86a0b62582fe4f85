"""Measures whether targets are parties, and each party one target, on draws by seed from two years of a news wire.

    python tests/bench/parties/bench_parties.py                                 # the figures of the committed verdicts
    python tests/bench/parties/bench_parties.py --draw final --readings FILE    # the draw again, with its verdicts

The verdicts are those of `tests/bench/parties`. `--readings` caches what the model found (names and sentences, by line
of the stream), so that a second run takes seconds; without that file, the bundle reads a sample of the stream, for
minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from riskwire.entities.names import words_of_name
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.named_spans import NamedSpan
from riskwire.inference.model.prediction import DocumentPrediction, PredictedSentence, SentencePrediction
from riskwire.inference.model.sentences import SentenceSpan, TextDocument
from riskwire.settings import InferenceSettings

SHARED = Path(os.environ.get("RISKWIRE_SHARED", Path(__file__).parents[4] / "shared")) / "data"
STREAM = SHARED / "streams" / "reuters_2009_2010.jsonl.gz"
VERDICTS = Path(__file__).parent
SEEDS = {"tune": 20261130, "final": 20261203}
DRAWN = 200
EVERY = 8
"""The sample is every eighth line of the stream: 3,342 articles."""
_READ_AT_ONCE = 500
_CONTEXT = 60
"""Characters around a mention that are printed for the reader."""


class Reading(NamedTuple):
    """What a model found in one article of the stream: its line from 0, day, text, title length, sentences, names."""

    line: int
    day: str
    content: str
    title_length: int
    sentences: list[tuple[int, int, bool, list[tuple[int, int, str]]]]


@dataclass
class DrawnTarget:
    """A target, the names by which the articles call it, and its first mention as line and text."""

    names: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    line: int = -1
    context: str = ""
    lines: set[int] = field(default_factory=set)


async def read_stream(bundle: Path | None) -> list[Reading]:
    """Returns what a bundle finds in the sample of the stream; it takes minutes."""
    with gzip.open(STREAM, "rt", encoding="utf-8") as lines:
        rows = [(line, json.loads(text)) for line, text in enumerate(lines) if line % EVERY == 0]
    readings: list[Reading] = []
    settings = InferenceSettings(bundle=bundle)
    async with Engine(Bundle.load(bundle), settings) as engine:
        for start in range(0, len(rows), _READ_AT_ONCE):
            part = rows[start : start + _READ_AT_ONCE]
            documents = [TextDocument.of_article(row["title"], row.get("summary") or "") for _, row in part]
            for (line, row), prediction in zip(part, await engine.predict(documents), strict=True):
                sentences = [
                    (
                        sentence.start,
                        sentence.end,
                        sentence.span.is_title,
                        [(name.start, name.end, name.kind) for name in sentence.prediction.names],
                    )
                    for sentence in prediction.sentences
                ]
                content = prediction.document.content
                readings.append(Reading(line, row["published_at"][:10], content, len(row["title"]), sentences))
            print(f"read {start + len(part)} of {len(rows)}", flush=True)
    return readings


def prediction_of(reading: Reading) -> DocumentPrediction:
    """Returns the prediction that a linker needs: only the names, with a neutral sentiment."""
    offsets = np.zeros((0, 2), dtype=np.int32)
    return DocumentPrediction(
        TextDocument(reading.content, reading.title_length),
        tuple(
            PredictedSentence(
                SentenceSpan(start, end, is_title),
                SentencePrediction((0.0, 1.0, 0.0), (), tuple(NamedSpan(*name) for name in names), offsets, None),
            )
            for start, end, is_title, names in reading.sentences
        ),
    )


def targets_of(readings: list[Reading]) -> dict[str, DrawnTarget]:
    """Returns the targets that the shipped tables make of the readings, without a watchlist."""
    linker = Linker()
    targets: dict[str, DrawnTarget] = {}
    for reading in readings:
        for mention in linker.link(prediction_of(reading), date.fromisoformat(reading.day)):
            if not mention.followed:
                continue
            target = targets.setdefault(mention.entity, DrawnTarget())
            target.names[mention.name] += 1
            target.texts[mention.text] += 1
            target.lines.add(reading.line)
            if target.line < 0:
                target.line = reading.line
                context = reading.content[max(0, mention.start - _CONTEXT) : mention.end + _CONTEXT]
                target.context = " ".join(context.split())
    return targets


def draw_targets(targets: dict[str, DrawnTarget], seed: int) -> list[str]:
    """Returns the drawn targets, each as likely as any other."""
    return random.Random(seed).sample(sorted(targets), DRAWN)


def draw_pairs(targets: dict[str, DrawnTarget], seed: int) -> list[tuple[str, str]]:
    """Returns the drawn pairs of targets whose names share the first word, each as likely as any other."""
    by_word: defaultdict[str, list[str]] = defaultdict(list)
    for target in sorted(targets):
        words = words_of_name(targets[target].names.most_common(1)[0][0])
        if words:
            by_word[words[0]].append(target)
    pairs = [pair for members in by_word.values() for pair in combinations(members, 2)]
    return random.Random(seed).sample(pairs, DRAWN)


def verdicts(name: str) -> Iterator[tuple[str, str, str]]:
    """Yields (draw, what was drawn, verdict) of a file of verdicts; what was drawn may have two columns."""
    path = VERDICTS / f"{name}.tsv"
    for line in path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else ():
        draw, *drawn, verdict = line.split("\t")
        yield draw, "\t".join(drawn), verdict


def main() -> None:
    """Prints the figures of the committed verdicts, or a draw."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--draw", choices=SEEDS, help="draw again, and print what was drawn with its text and verdict")
    options.add_argument("--bundle", type=Path, help="the bundle that reads; by default the shipped one")
    options.add_argument("--readings", type=Path, help="file that caches what the bundle finds")
    arguments = options.parse_args()
    if arguments.draw is None:
        for draw in SEEDS:
            of_targets = [verdict for drawn_in, _, verdict in verdicts("targets") if drawn_in == draw]
            articles = Counter[str]()
            for drawn_in, drawn, verdict in verdicts("targets"):
                if drawn_in == draw:
                    articles[verdict] += int(drawn.split("\t")[2])
            of_pairs = [verdict for drawn_in, _, verdict in verdicts("pairs") if drawn_in == draw]
            if of_targets:
                parties = of_targets.count("party")
                print(
                    f"{draw}: {len(of_targets)} targets, {parties} parties: {parties / len(of_targets):.3f}; "
                    f"weighted by their articles {articles['party'] / articles.total():.3f}"
                )
            if of_pairs:
                print(f"{draw}: {len(of_pairs)} pairs, {of_pairs.count('same')} of one party")
        return
    readings = _cached(arguments.readings, arguments.bundle)
    targets = targets_of(readings)
    print(f"{len(readings)} articles, {len(targets)} targets")
    known_targets = {
        drawn.split("\t")[0]: verdict for draw, drawn, verdict in verdicts("targets") if draw == arguments.draw
    }
    known_pairs = {drawn: verdict for draw, drawn, verdict in verdicts("pairs") if draw == arguments.draw}
    seed = SEEDS[arguments.draw]
    for name in draw_targets(targets, seed):
        target = targets[name]
        columns = [name, str(target.line), str(len(target.lines)), known_targets.get(name, "-"), target.context]
        print("\t".join(["target", *columns]))
    for first, second in draw_pairs(targets, seed):
        texts = [", ".join(text for text, _ in targets[name].texts.most_common(3)) for name in (first, second)]
        print("\t".join(["pair", first, second, known_pairs.get(f"{first}\t{second}", "-"), *texts]))


def _cached(path: Path | None, bundle: Path | None) -> list[Reading]:
    """Returns the readings of a file; if it does not exist, reads the stream and writes it."""
    if path is not None and path.exists():
        rows: list[list[Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [Reading(*row) for row in rows]
    readings = asyncio.run(read_stream(bundle))
    if path is not None:
        path.write_text("".join(json.dumps(reading) + "\n" for reading in readings), encoding="utf-8")
    return readings


if __name__ == "__main__":
    main()
