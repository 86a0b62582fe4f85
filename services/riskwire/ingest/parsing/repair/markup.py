"""Repairs XML that feeds get wrong, so that a strict parser reads it: characters, references, prefixes, the ends.

CDATA sections, comments and processing instructions stay as they are. Each step is linear in the length of the text,
since the text is a stranger's. Entities that the document declares itself are not expanded: a reference to one becomes
plain text.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from html.entities import html5

_BEGINNING = 65_536
"""Characters of a text in which the document must begin."""
_START = re.compile(r"<\?xml\s|<!DOCTYPE\s|<(?:[\w.-]{1,40}:)?(?:urlset|sitemapindex|rss|feed|rdf|channel)\b", re.I)
_DECLARATION = re.compile(r"<\?xml\s")
_CLOSES = ("</rss>", "</feed>", "</urlset>", "</rdf:RDF>")
_ITEM = re.compile(r"<(?:item|entry|url)\b", re.I)
_BLANK = " \t\r\n\0\ufeff"

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
"""Characters that XML does not allow."""
_SURROGATES = re.compile(
    r"&(?:amp;)?#([xX]0{0,8}[dD][89abAB][\da-fA-F]{2}|0{0,8}5[56]\d{3});"
    r"&(?:amp;)?#([xX]0{0,8}[dD][c-fC-F][\da-fA-F]{2}|0{0,8}5[67]\d{3});"
)
"""Two references to surrogates, which some programs write for a character beyond U+FFFF."""
_REFERENCE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)(?:#(\d+|[xX][\da-fA-F]+);|([A-Za-z][A-Za-z\d]{0,31});)?")
_NO_TAG = re.compile(r"<(?![A-Za-z_\u00c0-\uffff]|/[A-Za-z_\u00c0-\uffff]|[!?])")
_MAX_DIGITS = 8

_NAME = r"[A-Za-z_][\w.-]{0,40}"
_PREFIX = re.compile(rf"</?({_NAME}):{_NAME}(?=[\s/>])|\s({_NAME}):{_NAME}\s{{0,9}}=\s{{0,9}}[\"']")
_ROOT = re.compile(r"<([A-Za-z_][\w.:-]{0,80})([^>]{0,10000})")
_DECLARED_PREFIX = re.compile(r"\sxmlns:([\w.-]{1,40})\s*=")
_MAX_PREFIXES = 50
_NAMESPACES = {
    "atom": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "dcterms": "http://purl.org/dc/terms/",
    "feedburner": "http://rssnamespace.org/feedburner/ext/1.0",
    "image": "http://www.google.com/schemas/sitemap-image/1.1",
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "media": "http://search.yahoo.com/mrss/",
    "news": "http://www.google.com/schemas/sitemap-news/0.9",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "slash": "http://purl.org/rss/1.0/modules/slash/",
    "sy": "http://purl.org/rss/1.0/modules/syndication/",
    "video": "http://www.google.com/schemas/sitemap-video/1.1",
    "wfw": "http://wellformedweb.org/CommentAPI/",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
"""The namespaces of common prefixes in feeds. Each other prefix gets a made-up namespace."""

_OPAQUE = (("<![CDATA[", "]]>"), ("<!--", "-->"), ("<?", "?>"))
"""The begin and the end of the parts in which nothing is markup."""


def repair_xml(text: str) -> tuple[str, list[str]]:
    """Returns a text as XML in UTF-8 that a strict parser accepts in more cases, and the repairs in words."""
    repairs: Counter[str] = Counter()
    text = _without_ends(text, repairs)
    text, count = _FORBIDDEN.subn("", text)
    repairs["character that XML does not allow"] += count
    text, count = join_surrogates(text)
    repairs["character reference without a character"] += count
    parts = [
        (part if opaque else _repair_markup(part, repairs), opaque)
        for part, opaque in _parts(text)
        if not _DECLARATION.match(part)
    ]
    parts = _with_prefixes(parts, repairs)
    text = '<?xml version="1.0" encoding="utf-8"?>' + "".join(part for part, _ in parts)
    return text, [_in_words(repair, count) for repair, count in repairs.items() if count]


def _in_words(repair: str, count: int) -> str:
    return repair if count == 1 else f"{repair} (×{count})"


def _without_ends(text: str, repairs: Counter[str]) -> str:
    """Returns a document without what is before its beginning and after its end."""
    start = _START.search(text[:_BEGINNING])
    if start is not None and start.start():
        before = text[: start.start()]
        if before.strip(_BLANK):
            # A comment, or another root element that holds this one, is a part of the document.
            if not before.lstrip(_BLANK).startswith(("<!--", "<?")) and not re.search(r"<html\b", before, re.I):
                repairs["text before the document"] += 1
                text = text[start.start() :]
        elif start[0].startswith("<?"):
            repairs["blank characters before the XML declaration"] += 1
    text = text.lstrip(_BLANK)
    end = max(text.rfind(close) + len(close) for close in _CLOSES if close in text) if _has_close(text) else len(text)
    after = text[end:].strip(_BLANK)
    if after and not _ITEM.search(after):
        repairs["text after the document"] += not (after.startswith("<!--") and after.endswith("-->"))
        text = text[:end]
    return text


def _has_close(text: str) -> bool:
    """Returns whether a text has the end tag of a root element."""
    return any(close in text for close in _CLOSES)


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Yields the parts of a text in order, each with whether it is opaque (CDATA, comment, instruction).

    A part whose end is missing is not opaque, and its beginning is searched only once.
    """
    openings = list(_OPAQUE)
    done = 0
    starts = {begin: text.find(begin) for begin, _ in openings}
    while openings:
        for begin, _ in openings:
            if 0 <= starts[begin] < done:
                starts[begin] = text.find(begin, done)
        openings = [(begin, end) for begin, end in openings if starts[begin] >= 0]
        if not openings:
            break
        begin, end = min(openings, key=lambda opening: starts[opening[0]])
        start = starts[begin]
        stop = text.find(end, start + len(begin))
        if stop < 0:
            openings.remove((begin, end))
            continue
        if start > done:
            yield text[done:start], False
        done = stop + len(end)
        yield text[start:done], True
    if done < len(text):
        yield text[done:], False


def _repair_markup(part: str, repairs: Counter[str]) -> str:
    """Returns a part of a document with references and `<` that XML allows."""

    def replaced(match: re.Match[str]) -> str:
        number, name = match.groups()
        if number:
            return _numbered(number, match[0], repairs)
        if name and (character := html5.get(f"{name};")):
            repairs["HTML entity that XML does not know"] += 1
            return html.escape(character)
        repairs["bare &"] += 1
        return f"&amp;{match[0][1:]}"

    part = _REFERENCE.sub(replaced, part)
    part, count = _NO_TAG.subn("&lt;", part)
    repairs["bare <"] += count
    return part.replace("]]>", "]]&gt;")


def _numbered(number: str, reference: str, repairs: Counter[str]) -> str:
    """Returns a character reference unchanged, or a replacement if no character has its number.

    Args:
        number: the digits, with `x` before hexadecimal ones.
    """
    digits = number.lstrip("xX").lstrip("0")
    code = int(digits or "0", 16 if number[0] in "xX" else 10) if len(digits) <= _MAX_DIGITS else 0xD800
    if 0x80 <= code < 0xA0:  # HTML gives these numbers the characters of Windows-1252
        return bytes([code]).decode("cp1252", "replace")
    if code > 0x10FFFF or _FORBIDDEN.match(chr(code)):
        repairs["character reference without a character"] += 1
        return "\ufffd" if code >= 0x20 else ""
    return reference


def join_surrogates(text: str) -> tuple[str, int]:
    """Replaces pairs of references to surrogates by their character. Returns the text and the number of pairs."""
    joined, count = _SURROGATES.subn(_joined, text)
    return (joined, count) if joined != text else (text, 0)


def _joined(match: re.Match[str]) -> str:
    """Returns the character of two references to surrogates; numbers that are not such a pair stay as they are."""
    high, low = (int(number[1:], 16) if number[0] in "xX" else int(number) for number in match.groups())
    if 0xD800 <= high < 0xDC00 <= low < 0xE000:
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    return match[0]


def _with_prefixes(parts: list[tuple[str, bool]], repairs: Counter[str]) -> list[tuple[str, bool]]:
    """Returns the parts with every prefix that is used declared in the first start tag."""
    used: dict[str, None] = {}
    for part, opaque in parts:
        if not opaque:
            used |= dict.fromkeys(match[1] or match[2] for match in _PREFIX.finditer(part))
    for index, (part, opaque) in enumerate(parts):
        root = None if opaque else _ROOT.search(part)
        if root is None:
            continue
        declared = {"xml", "xmlns", *_DECLARED_PREFIX.findall(root[2])}
        missing = [prefix for prefix in used if prefix not in declared][:_MAX_PREFIXES]
        if missing:
            text = "".join(f' xmlns:{name}="{_NAMESPACES.get(name, f"urn:prefix:{name}")}"' for name in missing)
            parts[index] = (f"{part[: root.end(1)]}{text}{part[root.end(1) :]}", False)
            if undeclared := [name for name in missing if not _is_declared(name, parts)]:
                repairs[f"undeclared prefix {', '.join(undeclared)}"] += 1
        break
    return parts


def _is_declared(prefix: str, parts: list[tuple[str, bool]]) -> bool:
    """Returns whether an element within the document declares a prefix, beside the declaration that was added."""
    declaration = f"xmlns:{prefix}="
    return sum(part.count(declaration) for part, opaque in parts if not opaque) > 1
