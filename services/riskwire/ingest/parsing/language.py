"""Which language an item is in: py3langid's probabilities times how often languages are met in financial news.

A headline of five words alone says little. English is the language of most financial news and a feed tells its own
language; both are taken as priors, so that they decide where the words do not and nowhere else.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from py3langid.langid import MODEL_FILE, LanguageIdentifier

LANGUAGES = (
    "af ar az bg bn bs ca cs da de el en es et fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko lt lv mk ml "
    "mn mr ms my ne nl no pa pl pt ro ru si sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh"
)
"""Languages that are told apart: those news is published in. Pidgins and dialects count as their language."""

_PRIOR = {"en": 20.0} | dict.fromkeys(("de", "fr", "es", "it", "pt", "nl", "ru", "zh", "ja", "ko"), 2.0)
_DECLARED = 10.0
_HINT = 500
"""Characters that are enough to tell."""


def detect(title: str, text: str, *, declared: str = "", min_confidence: float = 0.5) -> str | None:
    """ISO 639-1 code of the language, or None where it is less likely than `min_confidence`.

    `declared` is what the feed says (`en-US`, `de`); it counts as a hint, for many feeds say it wrong.
    """
    said = f"{title}\n{text}"[:_HINT].strip()
    if not any(each.isalpha() for each in said):
        return None
    hint = declared.strip().lower().replace("_", "-").partition("-")[0]
    weighted = {
        label: float(probability) * _PRIOR.get(label, 1.0) * (_DECLARED if label == hint else 1.0)
        for label, probability in _identifier().rank(said)
    }
    best = max(weighted, key=weighted.__getitem__)
    return best if weighted[best] >= min_confidence * sum(weighted.values()) else None


@cache
def _identifier() -> Any:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES.split())
    return identifier
