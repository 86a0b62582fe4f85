"""Recognises names that a text is not about: publishers, markets, labels, and those who comment on others. Pure.

A news agency that names itself ("DETROIT (Reuters) -", "told Reuters") is not a subject of the story. A rating agency
or a broker that comments on others ("Moody's cuts …", "JPMorgan downgrades …") is hardly one.
"""

from __future__ import annotations

import re
from functools import lru_cache

from riskwire.entities.names import join_key, name_key

#: Agencies, papers, broadcasters and wires that are quoted as sources, without the companies that own them ("Thomson
#: Reuters", "News Corp"). On a watchlist, such a name is a target like any other.
PUBLISHERS = frozenset(
    join_key(name_key(name))
    for name in (
        *("Reuters", "Reuters Television", "AP", "Associated Press", "AFP", "Agence France-Presse", "dpa", "dpa-AFX"),
        *("Bloomberg", "Bloomberg News", "Bloomberg TV", "Dow Jones Newswires", "MarketWatch", "Barron's", "IFR"),
        *("Wall Street Journal", "WSJ", "Financial Times", "FT", "New York Times", "NYT", "Washington Post"),
        *("Sunday Times", "Sunday Telegraph", "Daily Telegraph", "Telegraph", "Guardian", "Economist", "Times"),
        *("CNBC", "CNN", "BBC", "Fox News", "NBC", "CBS", "ABC", "NPR", "Sky News", "Nikkei", "Nikkei business daily"),
        *("Kyodo", "Kyodo News", "Xinhua", "Caixin", "PTI", "Press Trust of India", "IANS", "Economic Times"),
        *("Der Spiegel", "Handelsblatt", "Les Echos", "Le Figaro", "Il Sole 24 Ore", "Interfax", "TASS", "RIA", "ANSA"),
        *("PR Newswire", "Business Wire", "GlobeNewswire", "Benzinga", "Seeking Alpha", "Zacks", "Motley Fool"),
        *("Globe and Mail", "New York Post", "China Securities Journal", "Sydney Morning Herald", "La Repubblica"),
        *("La Stampa", "Asahi Shimbun", "Yomiuri", "Mainichi", "C-SPAN", "Bild", "Frankfurter Allgemeine Zeitung"),
        *(
            "Sonntagszeitung",
            "Die Welt",
            "El Pais",
            "Corriere della Sera",
            "Automotive News",
            "Daily Mail",
            "WirtschaftsWoche",
        ),
        *(
            "Financial News",
            "Shanghai Securities News",
            "China Daily",
            "Il Sole 24",
            "Barron",
            "NDTV",
            "Thomson Reuters I",
            "Thomson Reuters I/B",
            "Chicago Tribune",
        ),
        *("Chosun Ilbo", "South China Morning Post", "Business Standard", "Irish Times", "Australian Financial Review"),
        *("Yonhap", "EFE", "MNI", "Thomson Reuters I/B/E/S", "Breakingviews", "USA Today", "Los Angeles Times"),
    )
)
_BROADCASTS = frozenset({"tv", "television", "news"})
"""Words that a publisher has at the end of its name at will."""
#: Indices, exchanges and other names of the market, which move with all news.
MARKETS = frozenset(
    join_key(name_key(name))
    for name in (
        *("Dow", "Dow Jones", "Dow Jones industrial average", "Dow industrials", "S&P", "S&P 500", "S and P"),
        *("Standard & Poor's 500", "Nasdaq", "Nasdaq Composite", "Nasdaq 100", "Russell 2000", "FTSE", "FTSE 100"),
        *("FTSEurofirst 300", "DAX", "CAC", "CAC 40", "Nikkei", "Nikkei 225", "Topix", "Hang Seng", "Stoxx"),
        *("STOXX 600", "VIX", "Wall Street", "Wall St", "NYSE", "New York Stock Exchange", "TSX", "MSCI", "Sensex"),
        *("Nifty", "FANG", "FAANG", "Magnificent Seven"),
    )
)
#: Labels at the start of a title, and abbreviations that are not names.
_LABELS = re.compile(
    r"(?:FACTBOX|ANALYSIS|TIMELINE|UPDATE(?: \d+)?|WRAPUP(?: \d+)?|INSTANT VIEW|Q\s?\+\s?A|EXCLUSIVE|SPECIAL REPORT|"
    r"SCENARIOS|PREVIEW|SNAPSHOT|HIGHLIGHTS|CORRECTED|REFILE|TABLE|TEXT|POLL|BREAKING|INTERVIEW|Q[1-4]|CEO|CFO|COO|"
    r"GDP|IPO|Chapter 11)",
    re.IGNORECASE,
)
_CREDITS = re.compile(r"\((?:Additional r|R)eporting\b|\b(?:Reporting|Editing|Writing|Compiled) by [A-Z]")
_LABEL_BEFORE = re.compile(
    r"(?:(?:UPDATE|WRAPUP|RPT|REFILE|CORRECTED|CORRECTION|FACT ?BOX|FACTSHEET|TIMELINE|CHRONOLOGY|"
    r"(?:SNAP )?ANALYSIS|(?:FUND )?Q ?(?:[&+]|-AND-) ?A|"
    r"INSTANT VIEW|ANALYSTS?[’']? VIEW|POLL|PREVIEW|SNAPSHOT|HIGHLIGHTS|SCENARIOS?|EXCLUSIVE|SPECIAL REPORT|"
    r"INTERVIEW|TEXT|"
    r"TABLE|QUOTE ?BOX|QUOTES|SCORECARD|NEWSMAKER|BREAKING(?: NEWS)?|COLUMN|WITNESS|INSIGHT|ADVISORY|ALERT|"
    r"SUMMARY|DEALTALK|"
    r"(?:US|EUROPE|ASIA|GLOBAL|CANADA|UK|INDIA|JAPAN) (?:STOCKS|MARKETS)|STOCKS|FOREX|TREASURIES|MARKET PULSE|BUZZ)"
    r"(?: ?\d+)?\s?[-:–—]+\s*)+",
    re.IGNORECASE,
)
#: Rating agencies.
RATERS = frozenset(
    join_key(name_key(name))
    for name in (
        *("Moody's", "Moody's Investors Service", "Moody's Investor Services", "Standard & Poor's", "S&P", "S and P"),
        *("S&P Global Ratings", "Standard & Poor's Ratings Services", "Fitch", "Fitch Ratings", "DBRS", "A.M. Best"),
        *("Egan-Jones", "Scope Ratings", "JCR", "Morningstar DBRS", "CRISIL", "ICRA"),
    )
)

_INDEX_OF_RATER = frozenset({"S&P", "S & P"})
"""Names of a rating agency that most often mean its index."""
RATER_OF_INDEX = "Standard & Poor's"
_AGENCY = (
    r"(?:Reuters|AP|AFP|Bloomberg|dpa(?:-AFX)?|Dow Jones|MarketWatch|CNBC|ANSA|PTI|IANS|Xinhua|Kyodo|TASS|Interfax)"
)
_DATELINE = re.compile(
    rf"^.{{0,100}}?\({_AGENCY}[^()]{{0,30}}\)\s*[-–—]+\s*"
    rf"|^[A-Z][A-Z .,/'&-]{{2,60}}?(?:, [A-Z][a-z]+(?: [A-Z][a-z]+)?)? \({_AGENCY}\)\s*"
    r"|^[A-Z][A-Z .,/'&]{2,60}?(?:, [A-Z][a-z]+\.?)?,? (?:[A-Z][a-z]{2,8}\.? \d{1,2},?(?: \d{4})?\s*)?"
    r"(?:/[A-Za-z ]{2,30}/)?\s*[-–—]{1,2}\s",
    re.DOTALL,
)
_RATES = re.compile(
    r"(?:['’]s)?\s+(?:\w+\s+)?(?:cuts?|cutting|lowers?|lowered|raises?|raised|affirms?|affirmed|puts?|places?|placed|"
    r"says?|said|warns?|warned|assigns?|assigned|downgrad\w+|upgrad\w+|revis\w+|keeps?|sees?|changes?|"
    r"withdraws?|rates?)\b"
)
_RECOMMENDS = re.compile(
    r"(?:['’]s)?\s+(?:\w+\s+)?(?:downgrad\w+|upgrad\w+|initiat\w+|reiterat\w+|resum\w+ coverage|starts? coverage|"
    r"(?:cuts?|rais\w+|lower\w+|lifts?|trims?|hikes?)\b[^.;]{0,60}?\b(?:price target|target price|rating|"
    r"to (?:buy|sell|hold|neutral|overweight|underweight|outperform|underperform))\b)"
    r"|(?:['’]s)?\s+(?:\w+\s+){0,2}?(?:analysts?|economists?|strategists?)\b",
    re.IGNORECASE,
)
_OWNER = re.compile(r"['’]s\b")
_SPEAKER_OF = re.compile(r"(?:analysts?|economists?|strategists?)\s+(?:at|with|from|of)\s+(?:the\s+)?$", re.IGNORECASE)

_RATER_AFTER = re.compile(
    r"(?:['’]s)?(?:\s+(?:and|,)\s+[A-Z]\w+(?:['’]s)?)?\s+(?:must|sued|settles?|to\s+(?:settle|pay|face|defend)|faces?(?!\s+\d)|"
    r"defends?|agrees?|loses?|wins?|pays?|ratings?\s+(?:unit|agency|business|probe))\b"
)
_RATER_BEFORE = re.compile(
    r"(?:\b(?:sues?|sued|against|probes?|charges|fines|unit|agency)\s+|(?:Moody(?:['’]s)?|Fitch)(?:,|\s+and|,\s+and|\s*/)\s*)$"
)
_PUBLISHER_AFTER = re.compile(
    r"(?:['’]s?)?\s+(?:(?:newspaper|media|television|TV)\s+)?(?:(?:debt|credit|bond)\s+)?(?:ratings?|shares?|stocks?|profits?|"
    r"loss(?:es)?|earnings|revenues?|dividends?|bonds|unions?|staff|jobs|workers|employees|shareholders?|investors?|parent|"
    r"creditors|datafeed|data\s+feed|stake|takeover|bid|deal|merger|unit|to\s+(?:sell|buy|cut|close|lay|shut|pay|raise|"
    r"charge|restructure|merge|settle)|cuts?|sells?|sold|files|posts|loses|swings|sues|sued|settles|buys|lays)\b"
)
_PUBLISHER_BEFORE = re.compile(
    r"\b(?:sues?|buys?|sells?|sold|stake\s+in|(?:probe|investigation|inquiry)\s+(?:into|of)|owner\s+of|parent\s+of|"
    r"(?:bid|offer|deal)\s+for|sale\s+of|lawsuit\s+against|downgrades)\s+(?:the\s+)?$"
)

_CONTEXT_AFTER = 120
"""Characters after a name that show whether it rates or comments on others."""
_CONTEXT_BEFORE = 40
"""Characters before a name that show the same, as in "analysts at"."""


@lru_cache(maxsize=16_384)
def is_publisher(name: str) -> bool:
    """Returns whether a name belongs to a news agency, paper or broadcaster.

    "TV", "Television" and "News" may follow it ("ABC News"). A name that ends with "Zeitung" is that of a newspaper.
    """
    key = name_key(name)
    if join_key(key) in PUBLISHERS:
        return True
    return len(key) > 1 and (
        key[-1].endswith("zeitung") or (key[-1] in _BROADCASTS and join_key(key[:-1]) in PUBLISHERS)
    )


def is_reported_on(sentence: str, start: int, end: int) -> bool:
    """Returns whether a sentence is about a publisher as a company: "New York Times shares", but not "…: NY Times"."""
    before = sentence[max(0, start - _CONTEXT_BEFORE) : start]
    return _PUBLISHER_AFTER.match(sentence, end) is not None or _PUBLISHER_BEFORE.search(before) is not None


def names_rater(sentence: str, start: int, end: int) -> bool:
    """Returns whether "S&P" is the rating agency as a party, and not an index: "Moody's, S&P must defend claims"."""
    if sentence[start:end] not in _INDEX_OF_RATER:
        return False
    before = sentence[max(0, start - _CONTEXT_BEFORE) : start]
    return _RATER_AFTER.match(sentence, end) is not None or _RATER_BEFORE.search(before) is not None


@lru_cache(maxsize=16_384)
def is_rater(name: str) -> bool:
    """Returns whether a name belongs to a rating agency."""
    return join_key(name_key(name)) in RATERS


@lru_cache(maxsize=16_384)
def is_market_or_label(name: str) -> bool:
    """Returns whether a name is a market, an index, or a label such as FACTBOX."""
    return join_key(name_key(name)) in MARKETS or _LABELS.fullmatch(name.strip()) is not None


def credits_start(content: str) -> int:
    """Returns where the line that credits the reporters begins ("(Reporting by"); the end of the text without one."""
    match = _CREDITS.search(content)
    return match.start() if match else len(content)


def label_end(sentence: str) -> int:
    """Returns the end of the label at the start of a title ("FACTBOX - ", "UPDATE 2-"), or 0 without one."""
    match = _LABEL_BEFORE.match(sentence)
    return match.end() if match else 0


def dateline_end(sentence: str) -> int:
    """Returns the end of a dateline ("DETROIT (Reuters) - "), or 0 for a sentence without one."""
    match = _DATELINE.match(sentence)
    return match.end() if match else 0


def speaks_of_others(sentence: str, start: int, end: int) -> bool:
    """Returns whether a sentence names a company only as the party that rates, recommends or comments on others.

    The company is the span from `start` to `end`. The sentiment of such a sentence is less about it. That is so where a
    recommendation or "analysts" follows the name ("X downgrades ..."), where the name follows "analyst at", and where
    a rating agency is followed by a verb such as "cuts". "Moody" before 's is taken as the agency "Moody's".
    """
    after = sentence[end : end + _CONTEXT_AFTER]
    if _RECOMMENDS.match(after):
        return True
    before = sentence[max(0, start - _CONTEXT_BEFORE) : start]
    if before[-1:].isspace() and _SPEAKER_OF.search(before):
        return True
    name = sentence[start:end]
    rates = is_rater(name) or (_OWNER.match(after) is not None and is_rater(name + "s"))
    return rates and _RATES.match(after) is not None
