"""Recognises names that are no party, so that no one is exposed to them: rating grades, labels, units, days. Pure.

The model takes many for organisations, because it reads their capitals. A watchlist may still have such a name.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path

from riskwire.entities.names import LEGAL_FORMS, join_key, words_of_name

_NAMES = Path(__file__).parents[1] / "tables" / "no_parties.txt"
_GRADE = re.compile(
    r"(?:(?:Aaa|Aa[1-3]?|A[1-3]|Baa[1-3]?|Ba[1-3]|B[1-3]|Caa[1-3]?|P-?[123]|F[123]\+?|A-[123]\+?|AAA|AA|BBB|BB|CCC|CC"
    r"|(?:AA|A|BBB|BB|B|CCC|CC|C)[+-]|(?:AA|A|BBB|BB|B|CCC)[- ](?:plus|minus))(?:\s*/\s*\S{1,9})?"
    r"|[ABC]\s*/\s*(?:Stable|Negative|Positive|Developing|Watch\w*|[A-Z]-?\d\+?)"
    r"|(?i:(?:triple|double|single)[- ][ABC](?:[- ](?:plus|minus))?))"
)
"""The grades of Moody's, S&P and Fitch, also a pair, or a grade and its outlook: "A/Stable"."""
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|tues?|weds?|thurs?|fri"
_TIME = re.compile(
    rf"{_MONTH}\.?(?:[ -]{_MONTH}\.?)?(?:\s+\d{{1,4}}(?:,?\s+\d{{4}})?)?|{_DAY}|(?:early|mid|late)[- ]{_MONTH}|"
    r"(?:[QH][1-4]|FY)\s?\d{0,4}|No\.?\s?\d*|(?:spring|summer|autumn|fall|winter)(?:\s+\d{4})?",
    re.IGNORECASE,
)
_AMOUNT = re.compile(
    r"(?:US|C|A|NZ|HK|S|NT|R)?[$€£¥]?\s?[\d.,]+\s?(?:%|m|bn|mn|k|bp|bps|pct|pc|million|billion|trillion|bln|mln|"
    r"st|nd|rd|th)?"
)
_LABEL = re.compile(
    r"(?:UPDATE|WRAPUP|WRAP|RPT|REFILE|CORRECTED|FACTBOX|TIMELINE|ANALYSIS|(?:(?i:FUND) )?Q\s?(?:[&+]|(?i:-AND-))\s?A|"
    r"INSTANT VIEW|POLL|PREVIEW|"
    r"SNAPSHOT|HIGHLIGHTS|SCENARIOS?|EXCLUSIVE|SPECIAL REPORT|INTERVIEW|TEXT|TABLE|SUMMIT|CHRONOLOGY|TAKE A LOOK|"
    r"PRESS DIGEST|MARKET PULSE|BREAKINGVIEWS|WITNESS|INSIGHT|COLUMN|DIARY|NEWSMAKER|ADVISORY|ALERT|BREAKING|LIVE)"
    r"(?:\s?\d+)?(?:\s*[-:].*)?",
)
_INDEX_FUND = re.compile(r"(?:Select Sector )?SPDRs?(?: .+)?|iShares .+|.+ ETFs?")
_PLAN = re.compile(r"\d{3}\([a-z]\)s?(?: plans?)?")
"""A pension plan by its paragraph of the tax code: "401(k)s"."""
_LINK = re.compile(r"(?:https?://|www\.|@|#)\S*|\S+\.(?:ly|gl|html?)\S*|t\.co\S*", re.IGNORECASE)


@lru_cache(maxsize=16_384)
def is_no_party(name: str) -> bool:
    """Returns whether a name is that of no party, such as "Baa1", "FACTBOX - Dow", "March", "GDP" or "Wall"."""
    text = " ".join(name.split()).strip(" .,:;'\"’”")
    if not any(character.isalpha() for character in text):
        return True
    if any(pattern.fullmatch(text) for pattern in (_GRADE, _TIME, _AMOUNT, _LABEL, _INDEX_FUND, _PLAN, _LINK)):
        return True
    words = words_of_name(text)
    return join_key(words) in _no_parties() or LEGAL_FORMS.issuperset(words)


@cache
def _no_parties() -> frozenset[str]:
    """Returns the names of the file, each as its words joined."""
    lines = _NAMES.read_text(encoding="utf-8").splitlines()
    return frozenset(
        join_key(words_of_name(name)) for line in lines if not line.startswith("#") for name in line.split("|") if name
    )
