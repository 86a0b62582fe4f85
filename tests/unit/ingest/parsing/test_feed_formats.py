"""Every format and trap: what is read of a document, against golden files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from riskwire.errors import FeedError
from riskwire.ingest.parsing.formats import Limits, parse
from riskwire.ingest.parsing.items import ParseResult, parse_document

DOCUMENTS = Path(__file__).parent / "documents"
GOLDEN = sorted(path for path in DOCUMENTS.iterdir() if not path.name.endswith(".expected.json"))
RSS = b'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title><link>https://e.example/</link>%s</channel></rss>'


def read(body: bytes, content_type: str = "", form: str = "auto", limits: Limits | None = None) -> ParseResult:
    return parse_document(
        body,
        content_type,
        "https://feeds.example/feed",
        source="golden",
        feed_format=form,
        limits=limits or Limits(),
        min_confidence=0.5,
    )


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_a_document_of_each_format_is_read_as_its_golden_file_says(path: Path) -> None:
    reading = parse_document(
        path.read_bytes(),
        "",
        f"https://feeds.example/{path.name}",
        source="golden",
        feed_format="auto",
        limits=Limits(),
        min_confidence=0.5,
    )
    expected = json.loads((path.parent / f"{path.name}.expected.json").read_text(encoding="utf-8"))
    items = json.loads(reading.model_dump_json(include={"items"}))["items"]
    fields = ("title", "text", "url", "language", "published_at")
    assert {"version": reading.version, "skipped": reading.skipped} == {k: expected[k] for k in ("version", "skipped")}
    assert [{field: item[field] for field in fields} for item in items] == expected["items"]


def test_every_format_has_a_golden_document() -> None:
    versions = {parse(path.read_bytes(), "", "https://e.example/").version for path in GOLDEN}
    assert versions == {"rss20", "rss091n", "rss10", "atom10", "json1.1", "sitemap"}


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
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
)
def test_what_is_not_a_feed_is_a_feed_error_that_says_what_it_is(body: bytes, content_type: str, said: str) -> None:
    with pytest.raises(FeedError, match=said):
        read(body, content_type)


def test_a_document_never_makes_the_parser_open_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.xml"
    secret.write_bytes(RSS % b"<item><title>Secret</title></item>")
    with pytest.raises(FeedError):
        read(str(secret).encode())
    body = b'<!DOCTYPE rss [<!ENTITY x SYSTEM "%s">]>' % secret.as_uri().encode()
    reading = read(body + RSS.split(b"?>", 1)[1] % b"<item><title>a &x; b</title></item>")
    assert len(reading.items) == 1
    assert "Secret" not in reading.items[0].title


def test_entities_that_multiply_are_not_expanded() -> None:
    laughs = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    head = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol">' + laughs + b"]>"
    reading = read(
        head
        + b'<rss version="2.0"><channel><item><title>Fine</title></item>'
        + b"<item><title>&a9;</title></item></channel></rss>"
    )
    assert sum(len(item.title) for item in reading.items) < 100
    with pytest.raises(FeedError, match="declares entities"):
        read(head + b"<urlset><url><loc>&a9;</loc></url></urlset>")


@pytest.mark.parametrize("kind", ["rss", "sitemap"])
def test_of_half_a_document_the_entries_before_the_break_are_kept(kind: str) -> None:
    if kind == "rss":
        whole = RSS % b"".join(b"<item><title>Item %d is here</title></item>" % n for n in range(10))
        half = whole[: whole.index(b"Item 5")]
    else:
        name = b"http://www.google.com/schemas/sitemap-news/0.9"
        urls = b"".join(
            b"<url><loc>https://a.example/%d</loc><n:news><n:title>Item %d is here</n:title></n:news></url>" % (n, n)
            for n in range(10)
        )
        whole = b'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:n="%s">%s</urlset>' % (name, urls)
        half = whole[: whole.index(b"Item 5")]
    reading = read(half)
    assert [item.title for item in reading.items[:5]] == [f"Item {n} is here" for n in range(5)]
    assert len(reading.items) <= 6
    assert reading.fault
    assert not read(whole).fault


def test_entries_beyond_the_limit_are_counted_and_left() -> None:
    body = RSS % b"".join(b"<item><title>Item %d</title></item>" % n for n in range(30))
    reading = read(body, limits=Limits(entries=10))
    assert (len(reading.items), reading.skipped) == (10, {"unread": 20})


def test_a_format_that_the_feed_list_names_is_insisted_on() -> None:
    body = RSS % b"<item><title>x</title></item>"
    assert read(body, form="rss").items
    with pytest.raises(FeedError, match="the feed list says atom, the document is rss20"):
        read(body, form="atom")


def test_the_charset_of_the_answer_and_of_the_document_are_heeded() -> None:
    body = '<rss version="2.0"><channel><item><title>Börse fällt</title></item></channel></rss>'
    assert read(body.encode("latin-1"), "application/rss+xml; charset=iso-8859-1").items[0].title == "Börse fällt"
    assert read(body.encode("utf-16")).items[0].title == "Börse fällt"
    declared = '<?xml version="1.0" encoding="windows-1252"?>' + body.replace("fällt", "“fällt”")
    assert read(declared.encode("cp1252")).items[0].title == "Börse “fällt”"


def test_a_gzipped_sitemap_file_is_read_within_the_size_limit() -> None:
    import gzip

    body = gzip.compress((DOCUMENTS / "news_sitemap.xml").read_bytes())
    assert len(read(body, "application/gzip").items) == 2
    bomb = gzip.compress(b" " * 5_000_000)
    with pytest.raises(FeedError, match="more than 1000000 bytes"):
        read(bomb, limits=Limits(bytes=1_000_000))


def test_ttl_is_told_in_seconds_and_bounded() -> None:
    assert read(RSS % b"<ttl>15</ttl>").fresh_s == 900
    assert read(RSS % b"<ttl>999999</ttl>").fresh_s == 86_400
    assert read(RSS % b"<ttl>soon</ttl>").fresh_s == 0


def test_an_item_that_stands_twice_in_a_document_is_one() -> None:
    item = b"<item><title>Twice</title><link>https://e.example/%s</link></item>"
    reading = read(RSS % (item % b"1" + item % b"1?utm_source=x" + item % b"2"))
    assert (len(reading.items), reading.skipped) == (2, {"repeated": 1})


def test_half_of_a_surrogate_pair_in_a_json_feed_costs_only_itself() -> None:
    items = [
        {"id": "1", "url": "https://e.example/1", "title": "Acme LONE rises", "content_text": "Shares of Acme rose."},
        {"id": "2", "url": "https://e.example/2", "title": "Globex \U0001f600 falls", "content_text": "Globex fell."},
        {"id": "3", "url": "https://e.example/3", "title": "A path: C:\\ud800", "content_text": "Initech stays."},
    ]
    body = json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": items}).encode()

    for lone in (rb"\ud800", rb"\udc00", rb"\uD83D\ud83d"):
        document = parse(body.replace(b"LONE", lone), "application/json", "https://e.example/feed", "auto", Limits())
        mended = "\ufffd" * (len(lone) // 6)
        assert [entry.title for entry in document.entries] == [
            f"Acme {mended} rises",
            "Globex \U0001f600 falls",
            "A path: C:\\ud800",
        ]
    with pytest.raises(FeedError, match="broken JSON"):
        parse(body.replace(b"LONE", rb"\ud800")[:-1], "application/json", "https://e.example/feed", "auto", Limits())
