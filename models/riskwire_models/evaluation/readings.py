"""Lets a bundle read all training texts, for smaller models to learn from (``riskwire model read``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from tokenizers import Tokenizer

from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.encoding import first_pieces, load_tokenizer, truncate
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import ENTITY_TAGS, MentionReading, SentenceReading, pieces_inside, spans_from_tags
from riskwire_models.data.teacher import TextReading, write_readings
from riskwire_models.errors import BundleFolderError
from riskwire_models.evaluation.calibration import sigmoid, softmax
from riskwire_models.evaluation.onnx_runner import HeadLogits, OnnxRunner
from riskwire_models.export.default_bundle import MAX_LENGTH
from riskwire_models.export.manifest import BundleManifest, read_manifest

#: Sets whose texts are news: what a model says of other texts teaches nothing about risk.
NEWS_SETS = ("tfns", "topic", "sentfin", "finentity", "risk", "risk_statements", "sec")
#: Seed of the generated statements; a recipe with another seed generates others, which then have no readings.
SEED = 17
#: Most mentions of a text that are read.
MAX_MENTIONS = 12
#: Texts that are read at once; each call shows progress.
_CHUNK = 512


def read_training_texts(
    bundles: Sequence[Path],
    names: Path,
    data: Path,
    out: Path,
    *,
    threads: int = 2,
    log: Callable[[str], None] = print,
) -> int:
    """Writes what bundles say of the texts of the train split, and returns the number of texts.

    Args:
        bundles: the bundles that read, which have all six heads; the mean of what they say is written.
        names: the bundle that finds the names whose mentions are read, beside those that are labelled.
        data: folder of the data sets.
        out: file of the readings.

    Raises:
        BundleFolderError: a bundle cannot be read, or has no level.
    """
    readers = []
    for bundle in bundles:
        manifest = read_manifest(bundle)
        if "level" not in manifest.heads:
            raise BundleFolderError(f"{bundle} has no head for the level of mentions, so it cannot be a teacher")
        readers.append(_Reader(bundle, manifest, threads))
    labelled = _labelled_spans(training_corpus(data, NEWS_SETS, SEED)["train"])
    log(f"{len(readers)} bundles read {len(labelled)} texts")
    finder = _Reader(names, read_manifest(names), threads)
    readings: dict[str, TextReading] = {}
    all_texts = list(labelled)
    for start in track(range(0, len(all_texts), _CHUNK), "reading"):
        texts = all_texts[start : start + _CHUNK]
        spans = [
            _spans_of(labelled[text], text_names) for text, text_names in zip(texts, finder.names(texts), strict=True)
        ]
        bundle_readings = [reader.readings(texts, spans) for reader in readers]
        readings.update({text: _mean_reading([reading[text] for reading in bundle_readings]) for text in texts})
    write_readings(out, readings)
    return len(readings)


def _mean_reading(readings: Sequence[TextReading]) -> TextReading:
    """Returns the mean of the readings of one text by several bundles. A mention that a bundle cut off is left out."""

    def mean(values: Sequence[Sequence[float]]) -> tuple[float, ...]:
        return tuple(np.mean(values, axis=0).tolist())

    sentences = [reading.sentence for reading in readings]
    mentions: dict[tuple[int, int], MentionReading] = {}
    for span in readings[0].mentions:
        if not all(span in reading.mentions for reading in readings):
            continue
        mention_readings = [reading.mentions[span] for reading in readings]
        mentions[span] = MentionReading(
            mean([mention.target_sentiment for mention in mention_readings]),
            mean([mention.level for mention in mention_readings]),
            mean([mention.events for mention in mention_readings]),
        )
    sentence = SentenceReading(
        mean([item.sentiment for item in sentences]),
        mean([item.topics for item in sentences]),
        mean([item.events for item in sentences]),
    )
    return TextReading(sentence, mentions)


def _labelled_spans(examples: Sequence[Example]) -> dict[str, list[tuple[int, int]]]:
    """Returns the labelled spans of each text, those of all sets that hold the text."""
    spans: dict[str, dict[tuple[int, int], None]] = {}
    for example in examples:
        spans.setdefault(example.text, {}).update(
            dict.fromkeys((target.start, target.end) for target in example.targets)
        )
    return {text: list(of_text) for text, of_text in spans.items()}


def _spans_of(labelled: Sequence[tuple[int, int]], found: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns the labelled spans of a text, and the found names that overlap no labelled span."""
    spans = list(labelled)
    for start, end in found:
        if not any(start < other_end and end > other_start for other_start, other_end in spans):
            spans.append((start, end))
    return spans[:MAX_MENTIONS]


class _Reader:
    """A bundle that reads texts."""

    def __init__(self, folder: Path, manifest: BundleManifest, threads: int) -> None:
        """Opens the int8 file of a bundle, or its only file."""
        self._runner = OnnxRunner(folder / manifest.cpu_file.path, threads)
        self._tokenizer: Tokenizer = load_tokenizer(folder / manifest.tokenizer.path)
        self._temperatures = {name: head.temperature or 1.0 for name, head in manifest.heads.items()}

    def _predict(self, texts: Sequence[str]) -> tuple[list[list[tuple[int, int]]], list[HeadLogits]]:
        """Returns the character offsets of the word pieces, and the logits, of each text."""
        pieces = [
            truncate(encoding.ids, encoding.offsets, MAX_LENGTH) for encoding in self._tokenizer.encode_batch(texts)
        ]
        return [offsets for _, offsets in pieces], self._runner.predict([ids for ids, _ in pieces])

    def names(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Returns the character ranges of the names in each text."""
        name_spans: list[list[tuple[int, int]]] = []
        for text, offsets, logits in zip(texts, *self._predict(texts), strict=True):
            starts = first_pieces(text, offsets)
            tags = [ENTITY_TAGS[index] for index in logits["entities"].argmax(axis=1)]
            words = [(offsets[start][0], _end_of_word(text, offsets[start][0])) for start in starts]
            spans = spans_from_tags([tags[start] for start in starts])
            name_spans.append([(words[first][0], words[last - 1][1]) for first, last, _ in spans])
        return name_spans

    def readings(self, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]) -> Mapping[str, TextReading]:
        """Returns the readings of texts and of the spans in them."""
        read: dict[str, TextReading] = {}
        for text, offsets, logits, text_spans in zip(texts, *self._predict(texts), spans, strict=True):
            mentions: dict[tuple[int, int], MentionReading] = {}
            for start, end in text_spans:
                if not (positions := pieces_inside(offsets, start, end)):
                    continue
                mentions[start, end] = MentionReading(
                    self._distribution("target_sentiment", logits["target_sentiment"][positions].mean(axis=0)),
                    self._distribution("level", logits["level"][positions].mean(axis=0)),
                    self._chances(logits["events"][positions].mean(axis=0)),
                )
            sentence = SentenceReading(
                self._distribution("sentiment", logits["sentiment"]),
                self._distribution("topics", logits["topics"]),
                self._chances(logits["events"][0]),
            )
            read[text] = TextReading(sentence, mentions)
        return read

    def _distribution(self, head: str, logits: NDArray[np.float32]) -> tuple[float, ...]:
        return tuple(softmax(logits.astype(np.float64), self._temperatures[head]).tolist())

    def _chances(self, logits: NDArray[np.float32]) -> tuple[float, ...]:
        return tuple(sigmoid(logits.astype(np.float64), self._temperatures["events"]).tolist())


def _end_of_word(text: str, start: int) -> int:
    """Returns where the word that starts at a position ends, without punctuation and a possessive at its end."""
    end = start + len(text[start:].split(maxsplit=1)[0])
    word = text[start:end].rstrip(".,:;!?)('’\"")
    for possessive in ("'s", "’s"):
        word = word.removesuffix(possessive)
    return start + max(1, len(word))
