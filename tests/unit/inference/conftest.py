"""Readings made by hand: what the model would say is written into the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from riskwire.inference.model.named_spans import NamedSpan
from riskwire.inference.model.prediction import DocumentPrediction, PredictedSentence, SentencePrediction
from riskwire.inference.model.sentences import SentenceSpan, TextDocument

MARKED = re.compile(r"\[(PER|ORG|LOC|MISC) ([^\]]*)\]")
Marked = Callable[..., DocumentPrediction]


def read_marked(
    *lines: str, sentiments: Sequence[tuple[float, float, float]] = (), titled: bool = True
) -> DocumentPrediction:
    """A reading of sentences, the first the title, with names as in `[ORG Acme Corp] fell`."""
    sentences = []
    content = ""
    for at, line in enumerate(lines):
        plain, names = "", []
        last = 0
        for found in MARKED.finditer(line):
            plain += line[last : found.start()]
            names.append(NamedSpan(len(plain), len(plain) + len(found[2]), found[1]))
            plain += found[2]
            last = found.end()
        plain += line[last:]
        reading = SentencePrediction(
            sentiment=sentiments[at] if sentiments else (0.0, 1.0, 0.0),
            topics=(),
            names=tuple(names),
            offsets=np.zeros((0, 2), dtype=np.int32),
            target_logits=None,
        )
        start = len(content)
        sentences.append(
            PredictedSentence(SentenceSpan(start, start + len(plain), is_title=titled and at == 0), reading)
        )
        content += plain + "\n"
    document = TextDocument(content, sentences[0].end if titled else 0)
    return DocumentPrediction(document, tuple(sentences))


@pytest.fixture
def marked() -> Marked:
    """`read_marked`."""
    return read_marked
