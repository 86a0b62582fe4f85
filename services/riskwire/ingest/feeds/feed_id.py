"""Ids of feeds, made from their addresses."""

from __future__ import annotations

import re

from yarl import URL

from riskwire.errors import CREDENTIAL_PARAMETER

_MAX_ID = 100
_SECRET = re.compile(rf"{CREDENTIAL_PARAMETER}=", re.IGNORECASE)


def id_of(url: str) -> str:
    """Returns an id derived from an address: host, path and query, in the characters that an id may have.

    Parameters that hold a secret are left out: the id is shown everywhere, as the source of articles.

    It has at most `_MAX_ID` characters, no `www.` and no file extension, and is `feed` if nothing remains.

    >>> id_of("https://www.news.example/business/rss.xml?lang=en")
    'news.example-business-rss-lang-en'
    """
    parsed = URL(url)
    query = "&".join(part for part in parsed.raw_query_string.split("&") if not _SECRET.match(part))
    text = f"{(parsed.raw_host or '').removeprefix('www.')}/{parsed.raw_path}/{query}"
    text = re.sub(r"\.(xml|rss|atom|rdf|json|aspx?|php|html?)(?=/|$)", "", text.lower())
    return re.sub(r"[^a-z0-9._]+", "-", text).strip("-._")[:_MAX_ID].strip("-._") or "feed"
