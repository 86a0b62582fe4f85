"""Documents of every format are parsed as their golden files say; malformed documents raise errors."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from riskwire.errors import FeedError
from riskwire.ingest.parsing.formats import Limits, parse
from riskwire.ingest.parsing.items import ParseResult, parse_document

DOCUMENTS = Path(__file__).parent / "documents"
GOLDEN = sorted(path for path in DOCUMENTS.iterdir() if not path.name.endswith(".expected.json"))
RSS = b'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title><link>https://e.example/</link>%s</channel></rss>'
URL = "https://feeds.example/feed"


def result_of(
    body: bytes, content_type: str = "", feed_format: str = "auto", limits: Limits | None = None, url: str = URL
) -> ParseResult:
    """Parses a document as the ingest stage does, with defaults for all but its content.

    Args:
        feed_format: the format that the feed list gives; "auto" for any.

    Raises:
        FeedError: the document is not a feed, or not one of this format.
    """
    return parse_document(
        body,
        content_type,
        url,
        source="golden",
        feed_format=feed_format,
        limits=limits or Limits(),
        min_confidence=0.5,
    )


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_a_document_of_each_format_is_parsed_as_its_golden_file_says(path: Path) -> None:
    """Compares version, counts of skipped items, and five fields of each item with FILE.expected.json."""
    result = result_of(path.read_bytes(), url=f"https://feeds.example/{path.name}")
    expected = json.loads((path.parent / f"{path.name}.expected.json").read_text(encoding="utf-8"))
    items = json.loads(result.model_dump_json(include={"items"}))["items"]
    fields = ("title", "text", "url", "language", "published_at")
    assert (result.version, result.skipped) == (expected["version"], expected["skipped"])
    assert [{field: item[field] for field in fields} for item in items] == expected["items"]


def test_every_format_has_a_golden_document() -> None:
    versions = {parse(path.read_bytes(), "", "https://e.example/").version for path in GOLDEN}
    assert versions == {"rss20", "rss091n", "rss10", "atom10", "json1.1", "sitemap"}


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (
            b"<!doctype html><html><head><title>Login</title></head><body><p>Hi</p></body></html>",
            "text/html",
            "HTML page",
        ),
        (b"", "", "empty"),
        (b"   \n", "", "empty"),
        (b"Not found", "text/plain", "not a feed"),
        (b"/etc/passwd", "", "not a feed"),
        (b"file:///etc/passwd", "", "not a feed"),
        (b'{"version": "https://jsonfeed.org/version/1.1", "items": [', "", "broken JSON"),
        (b'{"hello": "world"}', "application/json", "not a JSON Feed: version"),
        (b'{"version": "2", "items": []}', "application/json", "version 1 or 1.1"),
        (b"<sitemapindex><sitemap><loc>https://a/b.xml</loc></sitemap></sitemapindex>", "", "index of sitemaps"),
        (b"<urlset><url><loc>https://a.example/1</loc></url></urlset>", "", "without news"),
        (b"<urlset><url><loc>https://a.ex", "", "broken before its first item"),
        (b"\x1f\x8b\x08nothing", "", "damaged gzip"),
        (b"{" * 100_000, "", "broken JSON"),
    ],
    ids=[
        "HTML",
        "empty",
        "blank",
        "plain text",
        "path",
        "file URL",
        "truncated JSON",
        "other JSON",
        "unknown version of JSON Feed",
        "sitemap index",
        "sitemap without news",
        "truncated sitemap",
        "damaged gzip",
        "deeply nested JSON",
    ],
)
def test_a_document_that_is_not_a_feed_is_refused_with_its_kind(body: bytes, content_type: str, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        result_of(body, content_type)


def test_a_document_does_not_make_the_parser_open_a_file(tmp_path: Path) -> None:
    """Neither a document that is a path nor an external XML entity makes the parser read the file."""
    secret = tmp_path / "secret.xml"
    secret.write_bytes(RSS % b"<item><title>Secret</title></item>")
    with pytest.raises(FeedError):
        result_of(str(secret).encode())
    doctype = b'<!DOCTYPE rss [<!ENTITY x SYSTEM "%s">]>' % secret.as_uri().encode()
    result = result_of(doctype + RSS.split(b"?>", 1)[1] % b"<item><title>a &x; b</title></item>")
    assert len(result.items) == 1
    assert "Secret" not in result.items[0].title


def test_nested_entities_are_not_expanded() -> None:
    """The entities would expand to a thousand million words ("billion laughs").

    RSS is parsed without them. A sitemap that declares entities is refused.
    """
    entities = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    doctype = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol">' + entities + b"]>"
    items = b"<item><title>Fine</title></item><item><title>&a9;</title></item>"
    result = result_of(doctype + b'<rss version="2.0"><channel>' + items + b"</channel></rss>")
    assert sum(len(item.title) for item in result.items) < 100
    with pytest.raises(FeedError, match="declares entities"):
        result_of(doctype + b"<urlset><url><loc>&a9;</loc></url></urlset>")


def rss_of_ten_items() -> bytes:
    return RSS % b"".join(b"<item><title>Item %d is here</title></item>" % n for n in range(10))


def sitemap_of_ten_items() -> bytes:
    """Returns a news sitemap of ten items."""
    urls = b"".join(
        b"<url><loc>https://a.example/%d</loc><n:news><n:title>Item %d is here</n:title></n:news></url>" % (n, n)
        for n in range(10)
    )
    return (
        b'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
        b'xmlns:n="http://www.google.com/schemas/sitemap-news/0.9">%s</urlset>' % urls
    )


@pytest.mark.parametrize("document", [rss_of_ten_items(), sitemap_of_ten_items()], ids=["RSS", "sitemap"])
def test_the_entries_of_a_truncated_document_are_kept(document: bytes) -> None:
    """The document ends within item 5: `fault` says so, and items 0 to 4 are complete."""
    result = result_of(document[: document.index(b"Item 5")])
    assert [item.title for item in result.items[:5]] == [f"Item {n} is here" for n in range(5)]
    assert len(result.items) <= 6
    assert result.fault
    assert not result_of(document).fault


def test_entries_beyond_the_limit_are_counted_and_not_parsed() -> None:
    body = RSS % b"".join(b"<item><title>Item %d</title></item>" % n for n in range(30))
    result = result_of(body, limits=Limits(entries=10))
    assert (len(result.items), result.skipped) == (10, {"unread": 20})


def test_a_document_of_another_format_than_the_feed_list_says_is_refused() -> None:
    body = RSS % b"<item><title>x</title></item>"
    assert result_of(body, feed_format="rss").items
    with pytest.raises(FeedError, match="the feed list says atom, the document is rss20"):
        result_of(body, feed_format="atom")


def test_the_charset_of_the_response_and_of_the_document_are_used() -> None:
    """The charset is that of the header, of the byte order mark, or of the XML declaration."""
    body = '<rss version="2.0"><channel><item><title>Börse fällt</title></item></channel></rss>'
    by_response = result_of(body.encode("latin-1"), "application/rss+xml; charset=iso-8859-1")
    assert by_response.items[0].title == "Börse fällt"
    assert result_of(body.encode("utf-16")).items[0].title == "Börse fällt"
    declared = '<?xml version="1.0" encoding="windows-1252"?>' + body.replace("fällt", "“fällt”")
    assert result_of(declared.encode("cp1252")).items[0].title == "Börse “fällt”"


def test_a_gzip_file_is_decompressed_up_to_the_size_limit() -> None:
    """The second file would decompress to 5 MB; the limit is 1 MB."""
    body = gzip.compress((DOCUMENTS / "news_sitemap.xml").read_bytes())
    assert len(result_of(body, "application/gzip").items) == 2
    bomb = gzip.compress(b" " * 5_000_000)
    with pytest.raises(FeedError, match="more than 1000000 bytes"):
        result_of(bomb, limits=Limits(bytes=1_000_000))


def test_ttl_is_converted_to_seconds_and_bounded() -> None:
    """A `ttl` of RSS has minutes. A day is the most, and 0 replaces an invalid one."""
    assert result_of(RSS % b"<ttl>15</ttl>").fresh_s == 900
    assert result_of(RSS % b"<ttl>999999</ttl>").fresh_s == 86_400
    assert result_of(RSS % b"<ttl>soon</ttl>").fresh_s == 0


def test_an_item_that_occurs_twice_in_a_document_is_kept_once() -> None:
    """The second item has the address of the first with a tracking parameter."""
    item = b"<item><title>Twice</title><link>https://e.example/%s</link></item>"
    result = result_of(RSS % (item % b"1" + item % b"1?utm_source=x" + item % b"2"))
    assert (len(result.items), result.skipped) == (2, {"repeated": 1})


@pytest.mark.parametrize("surrogates", [rb"\ud800", rb"\udc00", rb"\uD83D\ud83d"], ids=["high", "low", "two high"])
def test_a_lone_surrogate_in_a_json_feed_is_replaced(surrogates: bytes) -> None:
    """Each lone surrogate (an escape of six characters) becomes U+FFFD.

    A valid pair, and a backslash that is escaped, stay as they are. A truncated document is still refused.
    """
    items = [
        {"id": "1", "url": "https://e.example/1", "title": "Acme LONE rises", "content_text": "Shares of Acme rose."},
        {"id": "2", "url": "https://e.example/2", "title": "Globex \U0001f600 falls", "content_text": "Globex fell."},
        {"id": "3", "url": "https://e.example/3", "title": "A path: C:\\ud800", "content_text": "Initech stays."},
    ]
    body = json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": items}).encode()
    body = body.replace(b"LONE", surrogates)
    document = parse(body, "application/json", "https://e.example/feed")
    replacements = "\ufffd" * (len(surrogates) // 6)
    assert [entry.title for entry in document.entries] == [
        f"Acme {replacements} rises",
        "Globex \U0001f600 falls",
        "A path: C:\\ud800",
    ]
    with pytest.raises(FeedError, match="broken JSON"):
        parse(body[:-1], "application/json", "https://e.example/feed")
