"""Detects the language of an item with py3langid.

A headline of five words alone is ambiguous. Two priors therefore multiply the probabilities of py3langid: how frequent
a language is in financial news, and which language the feed declares. They decide only if the words do not.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from py3langid.langid import MODEL_FILE, LanguageIdentifier

LANGUAGES = (
    "af ar az bg bn bs ca cs da de el en es et fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko lt lv mk ml "
    "mn mr ms my ne nl no pa pl pt ro ru si sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh"
)
"""The languages that can be detected: those in which news is published. Dialects count as their language."""

_FREQUENCY_PRIOR = {"en": 20.0} | dict.fromkeys(("de", "fr", "es", "it", "pt", "nl", "ru", "zh", "ja", "ko"), 2.0)
_DECLARED_PRIOR = 10.0
_MAX_SAMPLE = 500
"""Characters of title and text that are examined; more do not change the result."""


def detect(title: str, text: str, *, declared: str = "", min_confidence: float = 0.5) -> str | None:
    """Returns the ISO 639-1 code of the most likely language, or None if its probability is below `min_confidence`.

    The probabilities of the language model are weighted: by how frequent a language is in financial news, and by the
    declared language. A text without letters has no language.

    Args:
        declared: the language that the feed declares (`en-US`, `de`). It only adds weight, because many feeds declare a
            wrong one.
    """
    sample = f"{title}\n{text}"[:_MAX_SAMPLE].strip()
    if not any(character.isalpha() for character in sample):
        return None
    declared_code = declared.strip().lower().replace("_", "-").partition("-")[0]
    weights = {
        code: float(probability) * _FREQUENCY_PRIOR.get(code, 1.0) * (_DECLARED_PRIOR if code == declared_code else 1.0)
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
