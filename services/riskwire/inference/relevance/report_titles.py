"""Recognises titles that announce no event of the parties in them: market reports, factboxes, analyses. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

_LABELLED = re.compile(
    r"\s*(?:(?:REFILE|CORRECTED|RPT|UPDATE \d+|WRAPUP \d+)\s?[-:]\s?)?"
    r"(?:(?:FACT ?(?:BOX|SHEET)|TIMELINE|CHRONOLOGY|Q\s?[&+]\s?A|SCENARIOS?|HIGHLIGHTS|QUOTE ?BOX|QUOTES|"
    r"(?:FULL )?TEXT|"
    r"(?:SNAP )?ANALYSIS|ANALYSTS?[’']? VIEWS?|SPECIAL REPORT|NEWSMAKER|PROFILE|COLUMN|COMMENTARY|BREAKINGVIEWS|"
    r"PREVIEW|"
    r"SCORECARD|DIARY|TAKE A LOOK|PERSONAL ?FINANCE|STERN ADVICE|BUSINESS BOOKS|BUY OR SELL|FUND (?:VIEW|Q&A)|BUZZ|"
    r"(?:(?:US|EUROPE|ASIA|GLOBAL|UK|JAPAN|INDIA|CANADA|EMERGING|MONEY) )?(?:STOCKS|MARKETS|SHARES)|FOREX|TREASURIES|"
    r"PRECIOUS|METALS|GRAINS|SOFTS|LIVEMARKETS|OBITUARY|TABLE|POLL|DEALTALK|SUMMIT)(?: ?\d+)?\s?[:\-–—]"
    r"|(?:KEY QUOTES|PRESS DIGEST|(?:WALL ST(?:REET)? )?WEEK AHEAD|MARKET (?:PULSE|VIEW|WRAP)|STOCK BUZZ|HOT STOCKS|"
    r"STOCKS (?:TO WATCH|NEWS)|(?:BEFORE|AFTER) THE BELL|MORNING (?:VIEW|BID|BRIEF\w*)|STREET WRAP|"
    r"DEALS OF THE DAY)\b)",
    re.IGNORECASE,
)
"""A label or heading at the start of a title of what is no event of the parties in it."""
_MARKET = (
    r"(?:(?:U\.?S\.?|European?|Asian?|Global|World|Tokyo|London|Japan(?:ese)?|China|Hong\s+Kong|Indian?|German|"
    r"British|UK|Wall\s+St\.?)\s+)?"
    r"(?:stocks?|shares|equities|(?:stock\s+)?(?:index\s+)?futures|Wall\s+St(?:reet)?\.?|Dow(?:\s+Jones)?|"
    r"S&P(?:\s+500)?|Nasdaq|Nikkei|FTSE(?:\s+100)?|DAX|"
    r"CAC(?:\s+40)?|TSX|Sensex|Nifty|Hang\s+Seng|markets?|bourses?|STOXX(?:\s+600)?|bonds|Treasur(?:ie|y)s|oil|"
    r"crude|gold|dollar|euro|yen|sterling)"
)
_MOVES = (
    r"(?:(?:is|are|set|seen|poised|likely|little|may|to|mostly|slightly|sharply|edges?|off)\s+)*(?:(?:up|down|"
    r"flat|mixed|higher|lower|steady|off|"
    r"changed|volatile|choppy)\b|(?:ris|rose|fall|fell|slid|slip|slump|end|clos|open|dip|rall|gain|drop|tumbl|"
    r"edg|climb|jump|sink|sank|surg|"
    r"sag|rebound|eye|hold|held|hit|soar|plung|retreat|advanc|declin|pare|extend|wobbl|sputter|perk|stumbl|"
    r"struggl|wait|await|brace|"
    r"snap|cut\s+(?:loss|gain)|los|log|post\s+(?:gain|loss)|stag|bounc|head|turn|weaken|track|cheer|hurt|boost|"
    r"lift|weigh|trim|erase|swing|shrug|"
    r"recover|settl|drift|ease|inch|finish|start|begin)\w*)"
)
_MARKET_REPORT = re.compile(
    r"\s*(?!(?:S&P|Nasdaq)\s+(?:lift|boost|hold|trim|head|track|start|eye|set|to\s|open|eas)\w*)"
    rf"{_MARKET}(?:,?\s+(?:and\s+)?{_MARKET})*\s+"
    rf"(?:(?:prices?|futures|average|index|composite|industrials|market|markets|shares|stocks|bulls|bears|"
    rf"rally)\s+)?{_MOVES}"
    r"|.*;\s*(?:Dow|S&P|Nasdaq|futures|stocks|TSX)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=1_024)
def reports_no_event(title: str) -> bool:
    """Returns whether a title announces no event of the parties in it: a market report, a factbox, an analysis, …"""
    return _LABELLED.match(title) is not None or _MARKET_REPORT.match(title) is not None
