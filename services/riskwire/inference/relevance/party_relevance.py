"""How much an article is about each party that it names: from 0, in passing, to 1, the subject of the title. Pure.

The title names the subject. A name in the fifth paragraph, in a list of ten, or of a place after "in" is background. So
the relevance of a party is 1 - Π (1 - w) over the sentences that mention it, with w as the product of these factors:

- the weight of the sentence (`riskwire.weights`): 1 for the title, at most 0.5 for a sentence of the text;
- where the text stands to the title: a half if the title is about another company; the first sentence after a title
  that names no party weighs 0.9, because it says who the title is about ("Drugmaker to cut jobs"), and 0.6 after one
  that names only a country or an authority ("U.S. sues drugmaker");
- a fifth for a party that only rates or comments on others;
- 0.3 for a country as a place ("recall in China"), 0.4 for a party of the past or in a comparison ("ex-Enron trader",
  "less than Intel"), and less for one of many names in a sentence, which only lists them.

A text that reports no event of the parties in it has at most 0.4 of that: reports on a market, factboxes, timelines,
questions and answers, analyses, collections of quotes. From 0.5, a party is a subject of the article.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from riskwire.inference.linking import LinkedMention
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.relevance.report_titles import reports_no_event
from riskwire.weights import SPEAKER_FACTOR, relevance, sentence_weights

_NO_EVENT = 0.4
_PLACE = 0.3
_IN_PASSING = 0.4
_BESIDE_TITLE = 0.5
_LEAD_OF_UNNAMED = 0.9
_LEAD_OF_OTHERS = 0.6
_MANY = 4
"""A sentence with at least this number of parties is a list. With n parties, the factor is 2 / n, at least 0.2."""

_PLACE_BEFORE = re.compile(
    r"\b(?:in|from|at|near|across|outside|into|throughout|within|inside)\s+(?:the\s+)?$", re.IGNORECASE
)
_STATE_BEFORE = re.compile(
    r"\b(?:crisis|crises|unrest|recession|riots?|protests?|default|confidence|faith|strikes?|turmoil|coup|war|"
    r"violence|emergency|inflation|"
    r"deflation|unemployment|election|downturn|slump|bailout|troubles?|jobless\w*|economy|growth|debt|bonds?|"
    r"fears)\s+(?:\w+\s+)?in\s+(?:the\s+)?$",
    re.IGNORECASE,
)
_PASSING_BEFORE = re.compile(
    r"(?:\b(?:ex|post|pre|anti)-|\b(?:unlike|former|formerly|onetime|one-time|than|outpaces?|overtakes?|via|"
    r"versus|vs\.?)\s+"
    r"(?:the\s+|at\s+|of\s+|by\s+)?)$",
    re.IGNORECASE,
)
_BEFORE_CHARACTERS = 40


def relevance_by_entity(prediction: DocumentPrediction, mentions: Sequence[LinkedMention]) -> dict[str, float]:
    """Returns how much an article is about each entity, 0 to 1, rounded to four decimals.

    Args:
        prediction: the sentences of the article.
        mentions: the mentions that may become signals (`followed`).
    """
    content = prediction.document.content
    weights = sentence_weights(len(prediction.sentences), titled=prediction.titled)
    in_sentence: dict[int, set[str]] = {}
    for mention in mentions:
        in_sentence.setdefault(mention.sentence, set()).add(mention.entity)
    strengths: dict[str, dict[int, float]] = {}
    for mention in mentions:
        strength = weights[mention.sentence] * _strength(content, mention, len(in_sentence[mention.sentence]))
        by_sentence = strengths.setdefault(mention.entity, {})
        by_sentence[mention.sentence] = max(strength, by_sentence.get(mention.sentence, 0.0))
    if prediction.titled:
        no_company = {mention.entity for mention in mentions if mention.country or mention.institution}
        _weigh_text(strengths, no_company, weights)
    title = content[: prediction.document.title_length]
    factor = _NO_EVENT if title and reports_no_event(title) else 1.0
    return {entity: round(factor * relevance(parts.values()), 4) for entity, parts in strengths.items()}


def _weigh_text(strengths: dict[str, dict[int, float]], no_company: set[str], weights: Sequence[float]) -> None:
    """Weighs the mentions in the text by what the title names: another company, a country or authority, or nothing.

    Args:
        strengths: by entity and sentence; sentence 0 is the title. Changed in place.
        no_company: the entities that are countries or authorities.
        weights: the weights of the sentences.
    """
    subjects = {entity for entity, parts in strengths.items() if parts.get(0, 0.0) >= _IN_PASSING}
    for entity, parts in strengths.items():
        for sentence in parts:
            if sentence > 0 and subjects - no_company and entity not in subjects:
                parts[sentence] *= _BESIDE_TITLE
            elif sentence == 1 and entity not in subjects:
                lead = _LEAD_OF_OTHERS if subjects else _LEAD_OF_UNNAMED
                parts[sentence] *= 1.0 if subjects and entity in no_company else lead / weights[1]


def _strength(content: str, mention: LinkedMention, parties: int) -> float:
    """Returns how much a sentence is about a party that it mentions, 0 to 1.

    Args:
        parties: the number of parties in the sentence.
    """
    strength = SPEAKER_FACTOR if mention.speaker else 1.0
    if parties >= _MANY:
        strength *= max(0.2, 2 / parties)
    before = content[max(0, mention.start - _BEFORE_CHARACTERS) : mention.start]
    if mention.country:
        if _PLACE_BEFORE.search(before) and not _STATE_BEFORE.search(before):
            strength *= _PLACE
    elif _PASSING_BEFORE.search(before):
        strength *= _IN_PASSING
    return strength
