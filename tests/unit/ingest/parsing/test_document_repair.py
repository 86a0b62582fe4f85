"""Documents with the faults that feeds have are read whole in every format, and each repair is named."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable

import pytest

from riskwire.ingest.parsing.formats import Limits
from riskwire.ingest.parsing.items import ParseResult, parse_document
from riskwire.ingest.parsing.repair.encoding import decode
from riskwire.ingest.parsing.repair.markup import repair_xml

TITLES = ("Weather stays dry in Leeds", "Tyrell HERE rival sued", "Tyrell cuts outlook after weak quarter")
"""HERE is where a fault is put."""
PAGES = tuple(f"https://w.example/{number}" for number in range(3))


def rss() -> bytes:
    items = "".join(
        f"<item><title>{title}</title><link>{page}</link></item>" for title, page in zip(TITLES, PAGES, strict=True)
    )
    return f'<?xml version="1.0"?>\n<rss version="2.0"><channel><title>W</title>{items}</channel></rss>'.encode()


def atom() -> bytes:
    """Returns an Atom feed of three entries."""
    entries = "".join(
        f'<entry><title>{title}</title><link href="{page}"/></entry>' for title, page in zip(TITLES, PAGES, strict=True)
    )
    return f'<?xml version="1.0"?>\n<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'.encode()


def sitemap() -> bytes:
    """Returns a news sitemap of three items."""
    urls = "".join(
        f"<url><loc>{page}</loc><news:news><news:title>{title}</news:title></news:news></url>"
        for title, page in zip(TITLES, PAGES, strict=True)
    )
    return (
        '<?xml version="1.0"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
        f' xmlns:news="http://www.google.com/schemas/sitemap-news/0.9">{urls}</urlset>'
    ).encode()


def json_feed() -> bytes:
    """Returns a JSON Feed of three items."""
    items = [{"id": page, "url": page, "title": title} for title, page in zip(TITLES, PAGES, strict=True)]
    return json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": items}).encode()


XML = {"RSS": rss, "Atom": atom, "sitemap": sitemap}
FORMATS = XML | {"JSON Feed": json_feed}


def read(body: bytes, content_type: str = "") -> ParseResult:
    return parse_document(
        body,
        content_type,
        "https://w.example/feed",
        source="w",
        feed_format="auto",
        limits=Limits(),
        min_confidence=0.5,
    )


def with_fault(fault: bytes) -> Callable[[bytes], bytes]:
    return lambda body: body.replace(b"HERE", fault)


FAULTS: dict[str, tuple[Callable[[bytes], bytes], str, str]] = {
    "nothing": (with_fault(b"big"), "big", ""),
    "a BOM": (lambda body: b"\xef\xbb\xbf" + body.replace(b"HERE", b"big"), "big", ""),
    "a cp1252 byte": (with_fault(b"\x92"), "’", "1 byte is not UTF-8"),
    "a control character": (with_fault(b"b\x0big"), "big", "character"),
    "a NUL": (with_fault(b"b\0ig"), "big", "character"),
    "an HTML entity": (with_fault(b"&rsquo;"), "’", ""),
    "a bare ampersand": (with_fault(b"& its"), "& its", ""),
    "two references to surrogates": (with_fault(b"&#xD83D;&#xDE00;"), "\U0001f600", ""),
    "decimal references to surrogates": (with_fault(b"&#55357;&#56832;"), "\U0001f600", ""),
    "a lone surrogate reference": (with_fault(b"&#xD800;"), "\ufffd", ""),
    "a reference beyond Unicode": (with_fault(b"&#x110000;"), "\ufffd", ""),
    "a reference with many digits": (with_fault(b"&#" + b"9" * 5_000 + b";"), "\ufffd", ""),
    "a reference of Windows-1252": (with_fault(b"&#146;"), "’", ""),
    "two gzip members": (
        lambda body: gzip.compress(body[:100]) + gzip.compress(body[100:].replace(b"HERE", b"big")),
        "big",
        "",
    ),
    "zeros after a gzip file": (lambda body: gzip.compress(body.replace(b"HERE", b"big")) + bytes(64), "big", ""),
    "text after the end": (lambda body: body.replace(b"HERE", b"big") + b"<!-- x --><script/>", "big", ""),
}
"""By name: how to make the fault, what is read in its place, and what a repair says."""


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS.keys())
@pytest.mark.parametrize(("fault", "expected", "repair"), FAULTS.values(), ids=FAULTS.keys())
def test_every_item_is_read_whatever_the_fault(
    make: Callable[[], bytes], fault: Callable[[bytes], bytes], expected: str, repair: str
) -> None:
    result = read(fault(make()))
    assert [item.title for item in result.items] == [title.replace("HERE", expected) for title in TITLES]
    assert [item.url for item in result.items] == list(PAGES)
    assert not result.fault
    assert repair in "; ".join(result.repairs)


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS.keys())
@pytest.mark.parametrize("blank", ["\n", " \r\n\t", "\ufeff\n", "\n\ufeff", "\n\n\n\0"])
def test_blank_characters_before_a_document_do_not_matter(make: Callable[[], bytes], blank: str) -> None:
    assert len(read(blank.encode() + make()).items) == 3


XML_FAULTS: dict[str, tuple[bytes, str]] = {
    "an unknown entity": (b"&unknown;", "&unknown;"),
    "a bare less-than": (b"< 5 %", "< 5 %"),
    "the end of CDATA": (b"]]>", "]]>"),
    "CDATA with a bare ampersand": (b"<![CDATA[A & B]]>", "A & B"),
    "CDATA with surrogates": (b"<![CDATA[&#xD83D;&#xDE00;]]>", "\U0001f600"),
    "escaped surrogates": (b"&amp;#xD83D;&amp;#xDE00;", "\U0001f600"),
    "a comment": (b"<!-- a & b < c -->big", "big"),
    "a tag without an end": (b"<br>big", "big"),
}


@pytest.mark.parametrize("make", XML.values(), ids=XML.keys())
@pytest.mark.parametrize(("fault", "expected"), XML_FAULTS.values(), ids=XML_FAULTS.keys())
def test_every_item_is_read_whatever_the_fault_of_the_markup(
    make: Callable[[], bytes], fault: bytes, expected: str
) -> None:
    titles = [item.title for item in read(make().replace(b"HERE", fault)).items]
    assert titles == [title.replace("HERE", expected) for title in TITLES]


@pytest.mark.parametrize("make", XML.values(), ids=XML.keys())
def test_text_before_the_document_is_left_out_and_reported(make: Callable[[], bytes]) -> None:
    result = read(b"<br />\n<b>Warning</b>: session in <b>/srv/feed.php</b><br />\n" + make())
    assert len(result.items) == 3
    assert "text before the document" in result.repairs


def test_an_undeclared_prefix_is_declared_and_reported() -> None:
    body = sitemap().replace(b' xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"', b"")
    result = read(body)
    assert len(result.items) == 3
    assert result.repairs == ("undeclared prefix news",)
    item = b'<media:thumbnail url="https://w.example/i.png"/></item>'
    result = read(rss().replace(b"</item>", item))
    assert (len(result.items), result.repairs) == (3, ("undeclared prefix media",))


def test_the_items_after_a_broken_one_of_a_sitemap_are_read() -> None:
    broken = sitemap().replace(b"<loc>https://w.example/1</loc>", b'<loc a="1" a="2">https://w.example/1</loc>')
    result = read(broken)
    assert [item.url for item in result.items] == [PAGES[0], PAGES[2]]
    assert result.skipped == {"unread": 1}
    assert result.fault


def test_html_in_the_title_of_a_sitemap_belongs_to_the_title() -> None:
    assert read(sitemap().replace(b"HERE", b"<b>big</b>")).items[1].title == "Tyrell big rival sued"


@pytest.mark.parametrize("make", XML.values(), ids=XML.keys())
def test_one_wrong_byte_does_not_change_the_encoding_of_the_others(make: Callable[[], bytes]) -> None:
    """The document is UTF-8 except for the byte 0x92; `”` contains the byte 0x9D, which Windows-1252 lacks."""
    body = make().replace(b"HERE", "Nestlé “difficult”".encode() + b"\x92s")
    for content_type in ("", "text/xml", "text/xml; charset=iso-8859-1", "application/xml; charset=utf-8"):
        result = read(body, content_type if b"utf" in content_type.encode() else "")
        assert result.items[1].title == "Tyrell Nestlé “difficult”’s rival sued"
        assert result.repairs == ("1 byte is not UTF-8",)


@pytest.mark.parametrize(
    ("text", "encoding", "declared"),
    [
        ("Börse fällt “jäh”", "cp1252", "iso-8859-1"),
        ("Börse fällt “jäh”", "utf-8", "iso-8859-1"),
        ("Börse fällt “jäh”", "cp1252", "utf-8"),
        ("Börse fällt “jäh”", "cp1252", ""),
        ("Börse fällt “jäh”", "utf-8", "nonsense"),
        ("Börse fällt “jäh”", "utf-8", "punycode"),
        ("Акции упали", "cp1251", "windows-1251"),
        ("Акции упали", "koi8-r", "koi8-r"),
        ("株価が急落", "shift_jis", "shift_jis"),
        ("株価が急落", "iso2022_jp", "iso-2022-jp"),
        ("股价暴跌", "gb2312", "gb2312"),
        ("股价暴跌", "utf-8", "utf-16"),
    ],
)
def test_the_declared_encoding_is_used_where_the_bytes_agree(text: str, encoding: str, declared: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    document = f'{declaration}<rss version="2.0"><channel><item><title>{text}</title></item></channel></rss>'
    assert read(document.encode(encoding)).items[0].title == text
    if declared:
        document = document.removeprefix(declaration)
        assert read(document.encode(encoding), f"text/xml; charset={declared}").items[0].title == text


def test_utf_16_is_read_with_and_without_a_byte_order_mark() -> None:
    document = '<?xml version="1.0" encoding="utf-16"?>' + rss().decode().partition("\n")[2].replace("HERE", "Börse")
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        assert read(document.encode(encoding)).items[1].title == "Tyrell Börse rival sued"


def test_relative_links_are_resolved_and_spaces_encoded() -> None:
    items = [
        {"id": "1", "url": "/news/1", "title": "One"},
        {"id": "2", "url": "two 2.html", "title": "Two"},
        {"id": "3", "url": "//o.example/3", "title": "Three"},
    ]
    feed = {"version": "https://jsonfeed.org/version/1", "home_page_url": "https://h.example/a/", "items": items}
    urls = [item.url for item in read(json.dumps(feed).encode()).items]
    assert urls == ["https://h.example/news/1", "https://h.example/a/two%202.html", "https://o.example/3"]
    assert read(sitemap().replace(b"https://w.example/0", b"/0")).items[0].url == PAGES[0]
    assert (
        read(rss().replace(b"https://w.example/0", b"/Q3 2026.pdf")).items[0].url == "https://w.example/Q3%202026.pdf"
    )


def test_an_item_of_json_loses_only_the_field_that_is_invalid() -> None:
    items = [
        {"title": "One", "language": ["en"]},
        {"title": {"a": 1}, "content_text": "Two is here."},
        {"title": []},
        7,
    ]
    result = read(json.dumps({"version": "https://jsonfeed.org/version/1", "items": items}).encode())
    assert [item.title for item in result.items] == ["One", "Two is here."]
    assert result.skipped == {"unread": 2}


@pytest.mark.parametrize("guard", [b")]}'\n", b")]}',\n"])
def test_a_guard_before_json_is_left_out(guard: bytes) -> None:
    assert len(read(guard + json_feed()).items) == 3


def test_the_beginning_of_a_damaged_gzip_file_is_read() -> None:
    """The file ends too early, or a byte in its second half is wrong."""
    items = b"".join(b"<item><title>Item %d of 99 is %x</title></item>" % (n, n**9) for n in range(99))
    packed = gzip.compress(rss().replace(b"<item>", items + b"<item>", 1))
    for damaged in (packed[:-100], packed[:1_000] + bytes([packed[1_000] ^ 0xFF]) + packed[1_001:]):
        result = read(damaged)
        assert "damaged end of a gzip file" in result.repairs
        assert len(result.items) > 10


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<![CDATA[",
        "<?",
        "&",
        "&#",
        "<",
        "]]>",
        "&#xD83D;",
        "<a:b c:d='",
        "</rss>",
        "<news:title>",
        "<url>",
        "\x92",
        "&amp;#55357;",
        '"\\',
        "<?xml ",
    ],
)
def test_the_time_of_a_repair_is_linear_in_the_length_of_the_document(piece: str) -> None:
    """Half a megabyte of a piece without its end takes seconds; in quadratic time it would take many minutes."""
    document = '<rss version="2.0">' + piece * (500_000 // len(piece))
    started_at = time.monotonic()
    text, _ = decode(document.encode("latin-1"))
    repair_xml(text)
    assert time.monotonic() - started_at < 20
