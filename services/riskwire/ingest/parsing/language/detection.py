"""Detects the language of an item with py3langid, and with a list of English words.

A headline of five words alone is ambiguous. Two priors therefore multiply the probabilities of py3langid: how frequent
a language is in financial news, and which language the feed declares. They decide only if the words do not.

Names mislead py3langid: it reads "Crédit Agricole profit falls" as French. In Latin script the words that are no names
(`english.py`) therefore come first.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from riskwire.ingest.parsing.language.english import EnglishEvidence, english_words, evidence_of

LANGUAGES = (
    "af ar az bg bn bs ca cs da de el en es et fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko lt lv mk ml "
    "mn mr ms my ne nl no pa pl pt ro ru si sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh"
)
"""The languages that can be detected: those in which news is published. Dialects count as their language."""

_FREQUENCY_PRIOR = {"en": 20.0} | dict.fromkeys(("de", "fr", "es", "it", "pt", "nl", "ru", "zh", "ja", "ko"), 2.0)
_DECLARED_PRIOR = 10.0
_MAX_SAMPLE = 500
"""Characters of title and text that are examined; more do not change the result."""
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_MIN_LATIN = 0.9
"""Least share of Latin letters of a text in Latin script."""
_ENOUGH_WORDS = 3
"""English words that outweigh another declared language."""


def detect(title: str, text: str, *, declared: str = "", min_confidence: float = 0.5) -> str | None:
    """Returns the ISO 639-1 code of the most likely language, or None if it is uncertain.

    A text in Latin script whose words are English is English, whatever names it has. A text that the feed declares as
    English is English unless its words are foreign. Every other text has the most likely language of py3langid, or none
    if its probability is below `min_confidence` or its words contradict it. A text without letters has no language.

    Args:
        declared: the language that the feed declares (`en-US`, `de`). Many feeds declare a wrong one.
        min_confidence: the least probability of a language, with the priors.
    """
    sample = f"{title}\n{text}"[:_MAX_SAMPLE].strip()
    letters = [character for character in sample if character.isalpha()]
    if not letters:
        return None
    code = declared.strip().lower().replace("_", "-").partition("-")[0]
    if len(_LATIN.findall("".join(letters))) < _MIN_LATIN * len(letters):
        return _most_likely(sample, code, min_confidence)
    evidence = evidence_of(sample)
    if _is_english(evidence, code, min_confidence):
        return "en"
    likely = _most_likely(sample, code, min_confidence)
    return None if _is_doubtful(evidence, code, likely) else likely


def load() -> None:
    """Loads the language model and the English words. py3langid needs to write a temporary file for this."""
    _identifier()
    english_words()


def _is_english(evidence: EnglishEvidence, declared: str, min_confidence: float) -> bool:
    """Returns whether the words of a text are English, or it is declared as English and they are not foreign.

    Of another declared language, a short text is English only if it has `_ENOUGH_WORDS`.
    """
    if declared == "en" and not evidence.is_foreign:
        return True
    if declared not in ("", "en") and evidence.english < _ENOUGH_WORDS:
        return False
    return evidence.is_english or (
        evidence.may_be_english and _most_likely(" ".join(evidence.words), "", min_confidence) == "en"
    )


def _is_doubtful(evidence: EnglishEvidence, declared: str, likely: str | None) -> bool:
    """Returns whether the words of a text contradict the most likely language of py3langid.

    They contradict English if they are foreign, and another language if the text has an English word and its names
    cannot be distinguished from its words.
    """
    if likely == "en":
        mixed = not evidence.cased and 0 < evidence.english <= 2 * evidence.foreign
        return evidence.is_foreign or (mixed and declared != "en")
    return not declared and not evidence.cased and evidence.english > 0 and evidence.foreign == 0


def _most_likely(sample: str, declared: str, min_confidence: float) -> str | None:
    """Returns the most likely language of py3langid, or None if its probability is below `min_confidence`.

    The probabilities are weighted: by how frequent a language is in financial news, and by the declared language.
    """
    weights = {
        code: float(probability) * _FREQUENCY_PRIOR.get(code, 1.0) * (_DECLARED_PRIOR if code == declared else 1.0)
        for code, probability in _identifier().rank(sample)
    }
    best = max(weights, key=weights.__getitem__)
    return best if weights[best] >= min_confidence * sum(weights.values()) else None


@cache
def _identifier() -> Any:
    """Returns the language model, limited to the languages that riskwire tells apart."""
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES.split())
    return identifier
