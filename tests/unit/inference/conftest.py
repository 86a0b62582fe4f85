"""Predictions written by hand: the text says what the model would predict."""

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


def marked_prediction(
    *lines: str, sentiments: Sequence[tuple[float, float, float]] = (), titled: bool = True
) -> DocumentPrediction:
    """Returns the prediction for a document.

    Args:
        lines: the sentences, with names marked by their kind as in `[ORG Acme Corp] fell`.
        sentiments: the probabilities of each sentence: negative, neutral, positive. Neutral when there are none.
        titled: whether the first sentence is the title.
    """
    sentences = []
    content = ""
    for index, line in enumerate(lines):
        text, names = _unmarked(line)
        prediction = SentencePrediction(
            sentiment=sentiments[index] if sentiments else (0.0, 1.0, 0.0),
            topics=(),
            names=names,
            offsets=np.zeros((0, 2), dtype=np.int32),
            target_logits=None,
        )
        span = SentenceSpan(len(content), len(content) + len(text), is_title=titled and index == 0)
        sentences.append(PredictedSentence(span, prediction))
        content += text + "\n"
    document = TextDocument(content, sentences[0].end if titled else 0)
    return DocumentPrediction(document, tuple(sentences))


def _unmarked(line: str) -> tuple[str, tuple[NamedSpan, ...]]:
    """Returns a line without its marks, and the names that were marked, with offsets into that line."""
    text = ""
    names = []
    end = 0
    for match in MARKED.finditer(line):
        text += line[end : match.start()]
        names.append(NamedSpan(len(text), len(text) + len(match[2]), match[1]))
        text += match[2]
        end = match.end()
    return text + line[end:], tuple(names)


@pytest.fixture
def marked() -> Marked:
    """Returns `marked_prediction`."""
    return marked_prediction
