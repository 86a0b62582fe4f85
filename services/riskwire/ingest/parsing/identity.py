"""Identifies items: the same item has the same id in every feed and in every poll.

An item has several names, each a hash. The first is the same in most feeds, the last identifies it reliably:

1. The canonical address of its page (`page_of`, `canonical`), unless that is the home page of the site or of the feed.
   Two feeds with the same item agree on it, while publishers' guids differ between feeds, and change when a publisher
   changes its software.
2. The guid, which is an opaque string. A globally unique guid (`tag:`, `urn:`, an address) is hashed alone, any other
   together with the source.
3. The address with its fragment.
4. The title together with the page, or without a page the title and text together with the source.

A name is shared if entries of the document that differ in title have it, or entries with different guids have the page.
The id is the first name that is not shared. The names depend on content alone, so two ingest workers give an item the
same ones. Which names are shared the item memory remembers across polls (`memory.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from courlan import clean_url

from riskwire.ingest.parsing.clean import letters_of
from riskwire.ingest.parsing.feed_document import FeedEntry
from riskwire.records import content_id

MAX_URL = 2_048

_GUID_MARK = 8
"""Characters of the mark of a guid."""

_GLOBALLY_UNIQUE = re.compile(r"(?:tag:[^,\s]+,\d{4}|urn:[a-z0-9][a-z0-9-]+:|https?://[^/\s])", re.I)
_BREAK = re.compile(r"[\t\r\n]+")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f]")
_FEED_HOST = re.compile(r"^(?:feeds?\d?|rss|rssfeeds|feedproxy)\.", re.I)
"""A host that only redirects from a feed to the page."""
_TRACKING = re.compile(
    r"^(?:utm_.*|at_(?:medium|campaign|custom\d*|link.*|bbc.*|ptr.*|format)|ns_.*|cmp|cmpid|mod|oc|ocid|ncid|ito|rss|"
    r"feedtype|feedname|taid|smid|partner|__source|__twitter.*|guccounter|guce_.*|\.?tsrc|soc_.*|ftag|srnd|sref|xtor)$",
    re.I,
)
"""Query parameters that publishers add to the links in their feeds."""
_SESSION = re.compile(
    r"^(?:(?:php|asp|aspx|j|cf)?_?sess(?:ion)?_?(?:id|key)?|aspsessionid.*|cftoken|nocache|cache_?bust(?:er)?|timestamp|"
    r"rand|random|rnd|_)$",
    re.I,
)
"""Query parameters with a new value in every answer of the server."""
_SESSION_PATH = re.compile(r";jsessionid=[^?#/]*", re.I)
_MIN_SID = 16
"""Characters of a `sid` that is the id of a session; a shorter one may be that of a story."""


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
    return next((written(address) for address in candidates if _is_page(address)), "")


def written(address: str) -> str:
    """Returns an address as a browser requests it: without line breaks, and with other white space as `%20`."""
    return _SPACE.sub("%20", _BREAK.sub("", address.strip()))


def _is_page(address: str) -> bool:
    """Returns whether an address is the HTTP(S) URL of a page: with a host, and not too long."""
    address = written(address)
    if not address.lower().startswith(("http://", "https://")) or len(address) > MAX_URL:
        return False
    try:
        host = urlsplit(address).hostname
        return bool(host) and "%20" not in str(host)
    except ValueError:
        return False


def canonical(url: str) -> str:
    """Returns the form that all addresses of one page share: https, without `www.`, tracking parameters, fragment.

    The usual ports and a slash at the end are left out as well, and the parameters are sorted. An address that cannot
    be parsed is returned almost unchanged.
    """
    url = _SESSION_PATH.sub("", url.strip())
    cleaned = clean_url(url) or url
    try:
        parts = urlsplit(cleaned)
        host = (parts.hostname or "").removeprefix("www.").rstrip(".")
        port = parts.port
    except ValueError:
        return cleaned
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode(sorted((key, value) for key, value in parameters if not _is_tracking(key, value)))
    netloc = host if port in {None, 80, 443} else f"{host}:{port}"
    path = parts.path.rstrip("/") or "/"
    return f"https://{netloc}{path}" + (f"?{query}" if query else "")


def _is_tracking(key: str, value: str) -> bool:
    """Returns whether a query parameter says nothing about which page is requested."""
    is_session = _SESSION.match(key) is not None or (key.lower() == "sid" and len(value) >= _MIN_SID)
    return is_session or _TRACKING.match(key) is not None


@dataclass(frozen=True, slots=True)
class Identity:
    """The names of an entry, and which names identify it in its document.

    Attributes:
        names: hashes; the first is the same in most feeds, the last identifies this entry reliably.
        shared: how many of the first names other entries of the document have as well.
        guid: a mark of the guid; empty without one, or if entries with other titles have it as well.
    """

    names: tuple[str, ...]
    shared: int = 0
    guid: str = ""

    @property
    def id(self) -> str:
        """The id within the document."""
        return self.names[self.shared]


def identify(entries: Sequence[FeedEntry], source: str, texts: Sequence[str], home: str = "") -> list[Identity]:
    """Returns the identities of the entries of one document, in their order.

    Args:
        source: the feed or archive source.
        texts: the clean title and text of each entry, as two lines.
        home: the address of the feed's page.
    """
    home_page = canonical(home) if home else ""
    titles = [letters_of(text.partition("\n")[0]) for text in texts]
    addresses = [page_of(entry) for entry in entries]
    pages = [canonical(address) if address else "" for address in addresses]
    names_of = [
        _names(page, address, entry.guid.strip(), source, title, text, is_home=page == home_page or _is_home_page(page))
        for entry, page, address, title, text in zip(entries, pages, addresses, titles, texts, strict=True)
    ]
    titles_of: dict[str, set[str]] = {}
    guids_of: dict[str, set[str]] = {}
    for names, page, title, entry in zip(names_of, pages, titles, entries, strict=True):
        for name in names.values():
            titles_of.setdefault(name, set()).add(title)
        guids_of.setdefault(page, set()).add(entry.guid.strip())
    shared = {name for name, different in titles_of.items() if len(different) > 1}
    shared |= {
        names["page"]
        for names, page in zip(names_of, pages, strict=True)
        if "page" in names and len(guids_of[page]) > 1 and not _are_spellings_of(page, guids_of[page])
    }
    return [_identity(names, shared) for names in names_of]


def _names(page: str, address: str, guid: str, source: str, title: str, text: str, *, is_home: bool) -> dict[str, str]:
    """Returns the names of an entry by kind, in their order.

    Args:
        page: the canonical address of the page, `address` as it is written; both are empty if there is none.
        title: the letters and digits of the title.
        text: the title and text.
        is_home: whether the page is a home page, which identifies nothing.
    """
    names = {}
    if not is_home:
        names["page"] = content_id("page", page)
    if guid:
        names["guid"] = content_id("guid", guid) if _GLOBALLY_UNIQUE.match(guid) else content_id("guid", source, guid)
    if fragment := address.partition("#")[2]:
        names["part"] = content_id("part", page, fragment)
    names["words"] = content_id("words", source, text) if is_home or not title else content_id("title", page, title)
    return names


def _identity(names: dict[str, str], shared: set[str]) -> Identity:
    """Returns the identity of an entry.

    Args:
        names: by kind.
        shared: the names that several entries of the document have.
    """
    ordered = tuple(names.values())
    count = next((index for index, name in enumerate(ordered) if name not in shared), len(ordered) - 1)
    guid = names.get("guid", "")
    return Identity(ordered, count, "" if guid in shared else guid[:_GUID_MARK])


def _are_spellings_of(page: str, guids: set[str]) -> bool:
    """Returns whether different guids are only spellings of one address (`…#0`, `…#1`), or missing."""
    return all(not guid or (_is_page(guid) and canonical(guid) == page) for guid in guids)


def _is_home_page(page: str) -> bool:
    """Returns whether an address has no path, so that it is the home page of a site."""
    return not page or bool(re.fullmatch(r"https://[^/]+/?", page))
