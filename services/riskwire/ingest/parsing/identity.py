"""Identifies items: the same item has the same id in every feed and in every poll.

The id is the hash of the first of these that applies:

1. The canonical address of the item's page (`page_of`, `canonical`). Two feeds with the same item agree on it, while
   publishers' guids differ between feeds, and change when a publisher changes its software.
2. The guid, if the address does not distinguish items: it is the home page of the site or of the feed, or several items
   of the document have it with different guids. A globally unique guid (`tag:`, `urn:`, an address) is hashed alone,
   another one together with the source.
3. The title and text together with the source.

Ids depend on content alone, so two ingest workers give an item the same id.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

from courlan import clean_url

from riskwire.ingest.parsing.feed_document import FeedEntry
from riskwire.records import content_id

MAX_URL = 2_048

_GLOBALLY_UNIQUE = re.compile(r"(?:tag:[^,\s]+,\d{4}|urn:[a-z0-9][a-z0-9-]+:|https?://[^/\s])", re.I)
_FEED_HOST = re.compile(r"^(?:feeds?\d?|rss|rssfeeds|feedproxy)\.", re.I)
"""A host that only redirects from a feed to the page."""
_TRACKING = re.compile(
    r"^(?:utm_.*|at_(?:medium|campaign|custom\d*|link.*|bbc.*|ptr.*|format)|ns_.*|cmp|cmpid|mod|oc|ocid|ncid|ito|rss|"
    r"feedtype|feedname|taid|smid|partner|__source|__twitter.*|guccounter|guce_.*|\.?tsrc|soc_.*|ftag|srnd|sref|xtor)$",
    re.I,
)
"""Query parameters that publishers add to the links in their feeds."""


def page_of(entry: FeedEntry) -> str:
    """Returns the address of an entry's page, or an empty string.

    This is the original link of FeedBurner, else the link, else the guid. A guid that is an address goes before a link
    to the feed host, which only redirects.
    """
    guid = entry.guid.strip()
    candidates = [entry.original_link, entry.link]
    if _is_page(guid) and _FEED_HOST.match(urlsplit(entry.link.strip()).netloc if _is_page(entry.link) else ""):
        candidates.insert(1, guid)
    candidates.append(guid)
    return next((address.strip()[:MAX_URL] for address in candidates if _is_page(address)), "")


def _is_page(address: str) -> bool:
    """Returns whether an address is the HTTP(S) URL of a page: with a host, without white space and not too long."""
    address = address.strip()
    if not address.lower().startswith(("http://", "https://")) or len(address) > MAX_URL:
        return False
    try:
        return bool(urlsplit(address).hostname) and not any(character.isspace() for character in address)
    except ValueError:
        return False


def canonical(url: str) -> str:
    """Returns the form that all addresses of one page share: https, without `www.`, tracking parameters, fragment.

    The usual ports and a slash at the end are left out as well, and the parameters are sorted. An address that cannot
    be parsed is returned almost unchanged.
    """
    cleaned = clean_url(url) or url.strip()
    try:
        parts = urlsplit(cleaned)
        host = (parts.hostname or "").removeprefix("www.").rstrip(".")
        port = parts.port
    except ValueError:
        return cleaned
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode(sorted((key, value) for key, value in parameters if not _TRACKING.match(key)))
    netloc = host if port in {None, 80, 443} else f"{host}:{port}"
    path = parts.path.rstrip("/") or "/"
    return f"https://{netloc}{path}" + (f"?{query}" if query else "")


def identify(entries: Sequence[FeedEntry], source: str, texts: Sequence[str], home: str = "") -> list[str]:
    """Returns the ids of the entries of one document, in their order.

    The address of its page identifies an entry, unless it is a home page or entries with different guids share it. Then
    the guid identifies it, or without one the title and text together with the source.

    Args:
        source: the feed or archive source.
        texts: the clean title and text of each entry.
        home: the address of the feed's page.
    """
    pages = [canonical(page) if (page := page_of(entry)) else "" for entry in entries]
    guids_by_page: dict[str, set[str]] = {}
    for page, entry in zip(pages, entries, strict=True):
        guids_by_page.setdefault(page, set()).add(entry.guid.strip())
    shared_pages = {
        page for page, guids in guids_by_page.items() if len(guids) > 1 and not _are_spellings_of(page, guids)
    }
    if home:
        shared_pages.add(canonical(home))
    return [
        _id(page if page not in shared_pages and not _is_home_page(page) else "", entry.guid.strip(), source, text)
        for page, entry, text in zip(pages, entries, texts, strict=True)
    ]


def _id(page: str, guid: str, source: str, text: str) -> str:
    """Returns the id of an article: a hash of the most reliable identification that its feed item has.

    Args:
        page: the canonical URL of the page; empty if there is none or if several items share it.
        guid: the id that the feed gives the item, or empty. An id of a form that is globally unique identifies the item
            in all feeds, another one only in its own source.
        text: the title and text, which identify an item without page and guid within its source.
    """
    if page:
        return content_id("page", page)
    if _GLOBALLY_UNIQUE.match(guid):
        return content_id("page", canonical(guid)) if _is_page(guid) else content_id("guid", guid)
    if guid:
        return content_id("guid", source, guid)
    return content_id("words", source, text)


def _are_spellings_of(page: str, guids: set[str]) -> bool:
    """Returns whether different guids are only spellings of one address (`…#0`, `…#1`), or missing."""
    return all(not guid or (_is_page(guid) and canonical(guid) == page) for guid in guids)


def _is_home_page(page: str) -> bool:
    """Returns whether an address has no path, so that it is the home page of a site."""
    return not page or bool(re.fullmatch(r"https://[^/]+/?", page))
