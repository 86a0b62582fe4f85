"""What a model has read, by sentence, in a file: a bundle reads each sentence of an archive only once.

A row holds a `SentencePrediction` exactly: its fields as JSON, then its arrays, compressed. So the signals of a second
run are equal to those of the first, whatever happened to the linker in between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from riskwire.errors import RiskwireError
from riskwire.inference.model.bundle import MANIFEST_FILE, Bundle
from riskwire.inference.model.named_spans import NamedSpan
from riskwire.inference.model.prediction import SentencePrediction
from riskwire.inference.model.risk_heads import TokenEvents, TokenLevels
from riskwire.records import EventScore
from riskwire.settings import InferenceSettings

_FORMAT = 1
"""Part of the name of the file: a change of the rows begins a new file."""
_KEY_BYTES = 16
_ASKED = 500
"""Keys of one query."""


def readings_id(bundle: Bundle, settings: InferenceSettings) -> str:
    """Returns what identifies the readings of a bundle: its manifest, which has the hash of each file, and how it runs.

    Raises:
        RiskwireError: the manifest cannot be read any more.
    """
    try:
        manifest = (bundle.folder / MANIFEST_FILE).read_bytes()
    except OSError as error:
        raise RiskwireError("the bundle cannot be read", where=str(bundle.folder)) from error
    digest = sha256(manifest)
    digest.update(f"{_FORMAT} {settings.device} {settings.precision}".encode())
    return digest.hexdigest()[:20]


class ReadingFile:
    """The predictions of one bundle, in an SQLite file. The predictions of an interrupted run are kept."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or creates it and its folder.

        Raises:
            RiskwireError: the file cannot be opened, or is no database.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=60, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS sentences (key BLOB PRIMARY KEY, reading BLOB) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise RiskwireError(
                "the cache of the back-test cannot be opened", where=str(path), do="Name another folder with --cache"
            ) from error

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def get(self, texts: Iterable[str]) -> dict[str, SentencePrediction]:
        """Returns the predictions of the sentences that were read before."""
        by_key = {_key(text): text for text in texts}
        keys = list(by_key)
        decompressor = zstandard.ZstdDecompressor()
        readings = {}
        for start in range(0, len(keys), _ASKED):
            chunk = keys[start : start + _ASKED]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key, reading FROM sentences WHERE key IN ({marks})"  # noqa: S608 - only question marks
            with closing(self._database.execute(query, chunk)) as rows:
                for key, reading in rows:
                    readings[by_key[key]] = decoded(decompressor.decompress(reading))
        return readings

    def put(self, predictions: Mapping[str, SentencePrediction]) -> None:
        """Keeps predictions, in one transaction.

        Raises:
            RiskwireError: the file cannot be written.
        """
        compressor = zstandard.ZstdCompressor(level=3)
        rows = [(_key(text), compressor.compress(encoded(prediction))) for text, prediction in predictions.items()]
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO sentences VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise RiskwireError("the cache of the back-test cannot be written", where=str(self._path)) from error


def encoded(prediction: SentencePrediction) -> bytes:
    """Returns a prediction as bytes; `decoded` reverses it exactly."""
    levels, events = prediction.levels, prediction.events
    arrays: list[NDArray[Any]] = [prediction.offsets]
    fields: dict[str, Any] = {
        "sentiment": prediction.sentiment,
        "topics": prediction.topics,
        "names": [(span.start, span.end, span.kind) for span in prediction.names],
        "temperature": prediction.temperature,
    }
    if prediction.target_logits is not None:
        fields["target"] = True
        arrays.append(prediction.target_logits)
    if levels is not None:
        fields["levels"] = levels.temperature
        arrays.append(levels.logits)
    if events is not None:
        of_no_party = [(event.label, event.score) for event in events.of_no_party]
        fields["events"] = [events.labels, events.temperature, events.threshold, of_no_party]
        arrays.append(events.logits)
    fields["shapes"] = [array.shape for array in arrays]
    header = orjson.dumps(fields)
    return b"".join([len(header).to_bytes(4, "little"), header, *(array.tobytes() for array in arrays)])


def decoded(raw: bytes) -> SentencePrediction:
    """Returns the prediction from the bytes of `encoded`."""
    body = 4 + int.from_bytes(raw[:4], "little")
    fields = orjson.loads(raw[4:body])
    shapes: list[Sequence[int]] = fields["shapes"]
    arrays = []
    for number, shape in enumerate(shapes):
        kind: Any = np.int32 if number == 0 else np.float32
        count = int(np.prod(shape))
        arrays.append(np.frombuffer(raw, kind, count, body).reshape(shape))
        body += count * 4
    offsets, *logits = arrays
    target = logits.pop(0) if "target" in fields else None
    levels = TokenLevels(logits.pop(0), fields["levels"]) if "levels" in fields else None
    events = None
    if "events" in fields:
        labels, temperature, threshold, of_no_party = fields["events"]
        scores = tuple(EventScore.unvalidated(label=label, score=score) for label, score in of_no_party)
        events = TokenEvents(tuple(labels), logits.pop(0), temperature, threshold, scores)
    return SentencePrediction(
        sentiment=tuple(fields["sentiment"]),
        topics=tuple(fields["topics"]),
        names=tuple(NamedSpan(*span) for span in fields["names"]),
        offsets=offsets,
        target_logits=target,
        temperature=fields["temperature"],
        levels=levels,
        events=events,
    )


def _key(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()
