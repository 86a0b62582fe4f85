"""What makes an item the same item.

An item is identified by the address of its page in canonical form, because that is what two feeds that carry it agree
on; publishers' guids differ between feeds, and change when a feed changes its software. In order:

1. the canonical address: FeedBurner's original link, else the link (the guid instead, where the link is only a feed
   host's redirector and the guid is an address elsewhere), else a guid that is an address;
2. an address that does not tell items apart (the site's home, the feed's page, shared by items of different guids in
   one document) is passed over, and the guid decides: alone where it is globally unique (`tag:`, `urn:`, an address),
   else together with the source;
3. without either, the words of the item together with the source.

Ids derive from content alone, so two ingesters give the same item the same id.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

from courlan import clean_url

from riskwire.ingest.parsing.entry import Entry
from riskwire.records import content_id

MAX_URL = 2_048

_GLOBAL = re.compile(r"(?:tag:[^,\s]+,\d{4}|urn:[a-z0-9][a-z0-9-]+:|https?://[^/\s])", re.I)
_FEED_HOST = re.compile(r"^(?:feeds?\d?|rss|rssfeeds|feedproxy)\.", re.I)
_TRACKING = re.compile(
    r"^(?:utm_.*|at_(?:medium|campaign|custom\d*|link.*|bbc.*|ptr.*|format)|ns_.*|cmp|cmpid|mod|oc|ocid|ncid|ito|rss|"
    r"feedtype|feedname|taid|smid|partner|__source|__twitter.*|guccounter|guce_.*|\.?tsrc|soc_.*|ftag|srnd|sref|xtor)$",
    re.I,
)


def page_of(entry: Entry) -> str:
    """The address of an entry's page as a reader may follow it, or nothing."""
    guid = entry.guid.strip()
    candidates = [entry.origin, entry.link]
    if _is_page(guid) and _FEED_HOST.match(urlsplit(entry.link.strip()).netloc if _is_page(entry.link) else ""):
        candidates.insert(1, guid)
    candidates.append(guid)
    return next((each.strip()[:MAX_URL] for each in candidates if _is_page(each)), "")


def _is_page(address: str) -> bool:
    address = address.strip()
    if not address.lower().startswith(("http://", "https://")) or len(address) > MAX_URL:
        return False
    try:
        return bool(urlsplit(address).hostname) and not any(each.isspace() for each in address)
    except ValueError:
        return False


def canonical(url: str) -> str:
    """The form in which addresses of one page are equal: https, no `www.`, no tracking, no fragment."""
    cleaned = clean_url(url) or url.strip()
    try:
        parts = urlsplit(cleaned)
        host = (parts.hostname or "").removeprefix("www.").rstrip(".")
        port = parts.port
    except ValueError:
        return cleaned
    kept = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.match(key)]
    where = host if port in {None, 80, 443} else f"{host}:{port}"
    path = parts.path.rstrip("/") or "/"
    query = urlencode(sorted(kept))
    return f"https://{where}{path}" + (f"?{query}" if query else "")


def identify(entries: Sequence[Entry], source: str, words: Sequence[str], home: str = "") -> list[str]:
    """The ids of the entries of one document; `words` are their cleaned titles and texts, `home` the feed's page."""
    pages = [canonical(page) if (page := page_of(entry)) else "" for entry in entries]
    guids: dict[str, set[str]] = {}
    for page, entry in zip(pages, entries, strict=True):
        guids.setdefault(page, set()).add(entry.guid.strip())
    indistinct = {page for page, those in guids.items() if len(those) > 1 and not _same_page(page, those)}
    if home:
        indistinct.add(canonical(home))
    return [
        _identity(page if page not in indistinct and not _is_site(page) else "", entry.guid.strip(), source, said)
        for page, entry, said in zip(pages, entries, words, strict=True)
    ]


def _identity(page: str, guid: str, source: str, words: str) -> str:
    if page:
        return content_id("page", page)
    if _GLOBAL.match(guid):
        return content_id("page", canonical(guid)) if _is_page(guid) else content_id("guid", guid)
    if guid:
        return content_id("guid", source, guid)
    return content_id("words", source, words)


def _same_page(page: str, guids: set[str]) -> bool:
    """Whether guids that differ are but spellings of one address (`…#0`, `…#1`), or missing."""
    return all(not guid or (_is_page(guid) and canonical(guid) == page) for guid in guids)


def _is_site(page: str) -> bool:
    """Whether an address names no page in a site."""
    return not page or bool(re.fullmatch(r"https://[^/]+/?", page))
