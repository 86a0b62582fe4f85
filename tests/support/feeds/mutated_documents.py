"""Mutates real feed documents, and checks what must hold of every document."""

from __future__ import annotations

import gzip
import os
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from riskwire.errors import FeedError
from riskwire.ingest.admission import admit
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.parsing.clean import MAX_TITLE
from riskwire.ingest.parsing.formats import Limits
from riskwire.ingest.parsing.identity import MAX_URL
from riskwire.ingest.parsing.items import ParseResult, parse_document

REPOSITORY = Path(__file__).parents[3]
OWN_DOCUMENTS = REPOSITORY / "tests" / "unit" / "ingest" / "parsing" / "documents"
LIMITS = Limits(entries=300, text=2_000, bytes=2_000_000)
MAX_TITLE_LENGTH = 2 * MAX_TITLE
MAX_SECONDS = 20.0
"""The longest that one document may take; the parser process has more time."""
NOW = datetime(2026, 11, 30, tzinfo=UTC)

Mutation = Callable[[bytes, random.Random], bytes]

_ITEM_TITLE = re.compile(
    rb"<(?:item|entry|url)\b(?:(?!</(?:item|entry|url)>).){0,3000}?<(?:\w+:)?title(?: [^>]*)?>", re.S
)
_JSON_TITLE = re.compile(rb'"title"\s*:\s*"')


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """What a document was read as.

    Attributes:
        result: None if it was refused.
        seconds: how long it took, in CPU time, since other programs may keep this one waiting.
    """

    result: ParseResult | None
    seconds: float


def own_documents() -> dict[str, bytes]:
    """Returns the documents of the repository, one of each format, by the name of the file."""
    paths = sorted(path for path in OWN_DOCUMENTS.iterdir() if not path.name.endswith(".expected.json"))
    return {path.name: path.read_bytes() for path in paths}


def saved_documents() -> dict[str, bytes]:
    """Returns the documents of real feeds in the shared data, by the name of the file; empty where it is missing."""
    folder = Path(os.environ.get("RISKWIRE_SHARED", REPOSITORY.parent / "shared")) / "data" / "feeds"
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.xml"))} if folder.is_dir() else {}


def read(body: bytes) -> ReadDocument:
    """Reads a document, and checks what must hold of every document.

    Raises:
        AssertionError: a limit is exceeded, an item is lost between the document and its articles, or an article is
            published twice.
    """
    started_at = time.thread_time()
    try:
        result = parse_document(
            body, "", "https://f.example/feed", source="f", feed_format="auto", limits=LIMITS, min_confidence=0.5
        )
    except FeedError:
        result = None
    seconds = time.thread_time() - started_at
    assert seconds < MAX_SECONDS, f"a document of {len(body)} bytes took {seconds:.1f} s of CPU time"
    if result is not None:
        _check(result)
    return ReadDocument(result, seconds)


def _check(result: ParseResult) -> None:
    """Checks the limits of a document, and that each of its items is published exactly once."""
    assert len(result.items) <= LIMITS.entries
    assert len(result.repairs) <= 10
    assert all(len(repair) <= 200 for repair in result.repairs)
    for item in result.items:
        assert 0 < len(item.title) <= MAX_TITLE_LENGTH
        assert len(item.text) <= LIMITS.text + MAX_TITLE_LENGTH
        assert len(item.url) <= MAX_URL
        assert item.id in item.names
    assert len({item.id for item in result.items}) == len(result.items)
    assert ParseResult.model_validate_json(result.to_bytes()) == result
    memory = ItemMemory({}, 10_000)
    assert len(admit(result.items, "f", memory, NOW, 21_600)) == len(result.items)
    assert admit(result.items, "f", memory, NOW, 21_600) == []
    state = {key: value for key, value in memory.take_changes().items() if value is not None}
    assert admit(result.items, "f", ItemMemory(state, 10_000), NOW, 21_600) == []


@cache
def _urls_of(body: bytes) -> tuple[str, ...]:
    result = read(body).result
    assert result is not None
    return tuple(item.url for item in result.items)


def check_no_item_is_lost(original: bytes, mutated: bytes) -> None:
    """Checks that a document with faults has the items of the original, in order and with the same links.

    Raises:
        AssertionError: it has not.
    """
    result = read(mutated).result
    assert result is not None, "the document was refused"
    assert tuple(item.url for item in result.items) == _urls_of(original)


# Faults that feeds have, and that cost no item.


def _blank_before(body: bytes, choice: random.Random) -> bytes:
    return choice.choice([b"\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", b"\n\xef\xbb\xbf", b" \t\r\n", b"\0"]) + body


def _in_a_title(body: bytes, choice: random.Random) -> bytes:
    """Puts a fault at the beginning of the title of an item."""
    titles = [match.end() for match in (*_ITEM_TITLE.finditer(body), *_JSON_TITLE.finditer(body))]
    if not titles:
        return body
    place = choice.choice(titles)
    return body[:place] + choice.choice(TITLE_FAULTS) + body[place:]


TITLE_FAULTS = (
    *(b"x\x92s ", b"x\x80 ", b"x\x9d ", b"x\xff ", b"x\x0b ", b"x\x00 ", b"x\x7f ", b"x& y ", b"x&y ", b"x&rsquo;s "),
    *(b"x&nbsp;y ", b"x&unknown; ", b"x&#xD83D;&#xDE00; ", b"x&#xD800; ", b"x&#1114112; ", b"x&#0; ", b"x&#11; "),
    *(b"x&#150; ", b"x&#xFFFF; ", b"x\xef\xbf\xbf ", b"x&amp;#xD83D;&amp;#xDE00; ", b"x]]> ", b"x\xed\xa0\x80 "),
)
"""Faults in text; the letter keeps a title from being empty."""


def _two_gzip_members(body: bytes, choice: random.Random) -> bytes:
    if body.startswith(b"\x1f\x8b"):
        return body
    place = choice.randint(0, len(body))
    members = (gzip.compress(part, 1, mtime=0) for part in (body[:place], body[place:]))
    return b"".join(members) + bytes(choice.choice([0, 8, 64]))


def _text_after(body: bytes, choice: random.Random) -> bytes:
    return body.rstrip() + choice.choice(
        [b"\n\n", b"<!-- served in 3 ms -->", b"\n<script>x()</script>", b"\0", b"\x1a"]
    )


def _undeclared_prefix(body: bytes, choice: random.Random) -> bytes:
    """Removes the declaration of a prefix, unless the document needs it to be recognised as a feed."""
    declarations = re.findall(rb"\sxmlns:(?:news|media|dc|content|sy|slash|atom)=[\"'][^\"']{0,200}[\"']", body)
    return body.replace(choice.choice(declarations), b"") if declarations else body


HARMLESS: Mapping[str, Mutation] = {
    "blank characters before": _blank_before,
    "a fault in a title": _in_a_title,
    "text after": _text_after,
    "an undeclared prefix": _undeclared_prefix,
    "two gzip members": _two_gzip_members,
}
"""The last one comes last, since the others change the text."""


def with_harmless_faults(body: bytes, choice: random.Random) -> bytes:
    """Returns a document with some faults that cost no item."""
    for name, mutation in HARMLESS.items():
        if name == "a fault in a title":
            for _ in range(choice.randint(0, 3)):
                body = mutation(body, choice)
        elif choice.random() < 0.4:
            body = mutation(body, choice)
    return body


# Faults after which anything may be left of a document.

_PIECES = (
    *(
        b"<",
        b">",
        b"&",
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b"-->",
        b"<?xml ?>",
        b"<item>",
        b"</item>",
        b"<entry>",
        b"<url>",
    ),
    *(b"</title>", b"<title>", b"<br>", b"&#xD800;", b"&#99999999999999999999;", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf"),
    *(
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
        b"&a;",
        b'"',
        b"'",
        b"\\ud800",
        b"\\",
        b"{",
        b"}",
        b"[",
        b",",
        b"\x1f\x8b\x08",
    ),
    *(b"</rss>", b"</feed>", b"</urlset>", b"<rss>", b" xmlns:x='y'", b"<x:y>", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
    *(b"encoding='utf-16'", b"encoding='utf-7'", b"encoding='punycode'", b"http://[", b"//[::1", b"%", b"javascript:x"),
    *("\u202e".encode(), "\u0600".encode(), "\U0010ffff".encode(), b"9" * 5_000, b"<a " + b"b='c' " * 200 + b">"),
)


def _cut(body: bytes, choice: random.Random) -> bytes:
    return body[: choice.randint(0, len(body))]


def _without_a_slice(body: bytes, choice: random.Random) -> bytes:
    start = choice.randint(0, len(body))
    return body[:start] + body[start + choice.randint(0, 2_000) :]


def _twice_a_slice(body: bytes, choice: random.Random) -> bytes:
    start = choice.randint(0, len(body))
    return body[:start] + body[start : start + choice.randint(0, 2_000)] * choice.randint(2, 5) + body[start:]


def _flipped(body: bytes, choice: random.Random) -> bytes:
    """Changes up to 20 bytes."""
    changed = bytearray(body)
    for _ in range(choice.randint(1, 20)):
        if changed:
            changed[choice.randrange(len(changed))] = choice.randrange(256)
    return bytes(changed)


def _with_a_piece(body: bytes, choice: random.Random) -> bytes:
    place = choice.randint(0, len(body))
    return body[:place] + choice.choice(_PIECES) * choice.choice([1, 1, 1, 2, 50]) + body[place:]


def _recoded(body: bytes, choice: random.Random) -> bytes:
    encoding = choice.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "shift_jis", "utf-7"])
    return body.decode("utf-8", "replace").encode(encoding, "replace")


def _compressed(body: bytes, choice: random.Random) -> bytes:
    packed = gzip.compress(body, 1, mtime=0)
    return _cut(packed, choice) if choice.random() < 0.5 else packed * 3


HARMFUL: tuple[Mutation, ...] = (
    *(_cut, _without_a_slice, _twice_a_slice, _flipped, _with_a_piece, _with_a_piece, _recoded, _compressed),
)


def with_any_faults(body: bytes, choice: random.Random) -> bytes:
    """Returns a document after a few mutations, of which at most 300,000 bytes are left."""
    for _ in range(choice.randint(1, 6)):
        mutation = choice.choice([*HARMFUL, *HARMLESS.values()])
        body = mutation(body, choice)[:300_000]
    return body
