"""An archive is read line by line with bounded lines; a file that is not an archive is refused."""

from __future__ import annotations

import gzip
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from riskwire.errors import RiskwireError, SchemaError, SettingsError
from riskwire.ingest.replay.archive import open_archive
from riskwire.ingest.replay.archive_item import ArchiveLine, ItemReader, names_of

GOOD = b'{"published_at": "2009-01-01T02:13:00Z", "title": "GM gets a loan", "url": "http://r.example/1", "rics": []}\n'


def write_archive(tmp_path: Path, content: bytes, suffix: str) -> Path:
    """Writes an archive that is compressed according to its suffix, and returns its path."""
    path = tmp_path / f"archive.jsonl{suffix}"
    compress = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[suffix]
    path.write_bytes(compress(content))
    return path


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"], ids=["uncompressed", "gz", "zst"])
def test_an_archive_has_the_same_lines_and_identity_however_it_is_compressed(tmp_path: Path, suffix: str) -> None:
    """Blank lines are left out and counted. `identity` is a hash of the beginning of the content."""
    content = GOOD + b"\n  \n" + GOOD.replace(b"GM gets", b"Ford gets") + GOOD.rstrip()
    archive = open_archive(write_archive(tmp_path, content, suffix))
    lines = list(archive.lines(1_000))
    assert [line.number for line in lines] == [1, 4, 5]
    assert [ItemReader("x").read(line).title for line in lines] == [
        "GM gets a loan",
        "Ford gets a loan",
        "GM gets a loan",
    ]
    uncompressed = tmp_path / "elsewhere.jsonl"
    uncompressed.write_bytes(content)
    assert archive.identity == open_archive(uncompressed).identity


def test_archives_with_different_content_have_different_identities(tmp_path: Path) -> None:
    archive = open_archive(write_archive(tmp_path, GOOD, ""))
    assert archive.identity != open_archive(write_archive(tmp_path, GOOD.replace(b"GM", b"BP"), ".gz")).identity


def test_a_line_that_is_too_long_is_cut_and_the_next_line_is_read(tmp_path: Path) -> None:
    """The limit is 1,000 bytes. One byte more is kept, and the line is not `complete`, which the reader refuses."""
    content = GOOD + b'{"title": "' + b"x" * 50_000 + b'"}\n' + GOOD
    first, long, last = open_archive(write_archive(tmp_path, content, ".gz")).lines(1_000)
    assert (long.number, long.complete, len(long.raw)) == (2, False, 1_001)
    assert (last.number, last.raw) == (3, first.raw)
    with pytest.raises(SchemaError, match=r"line 2: a line longer than ingest\.max_line"):
        ItemReader("x").read(long)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"title": "x"}', "x, line 7: published_at: Field required"),
        (b'{"published_at": "2009-01-01T02:13:00Z"}', "x, line 7: title: Field required"),
        (b'{"published_at": "soon", "title": "x"}', "x, line 7: published_at: .*'soon'"),
        (b'{"published_at": "07/11/2009", "title": "x"}', "published_at: .*unknown order"),
        (b'{"published_at": "9999-12-31T23:59:59-14:00", "title": "x"}', "published_at: .*9999-12-31"),
        (b'{"published_at": 90000000000000000, "title": "x"}', "published_at: .*90000000000000000"),
        (b'{"published_at": "2009-01-01T02:13:00Z", "title": " "}', "title and text are both empty"),
        (b'{"published_at": "2009-01-01T02:13:00Z", "title": 7}', "title: .*string"),
        (b"[1]", "x, line 7: record: "),
        (b'{"title": ', "x, line 7: record: .*JSON"),
        (b"\xff\xfe{}", "x, line 7: record: "),
    ],
    ids=[
        "no time",
        "no title",
        "invalid time",
        "day and month in unknown order",
        "end of the calendar",
        "end of the calendar in epoch seconds",
        "blank",
        "number as title",
        "list",
        "truncated",
        "not UTF-8",
    ],
)
def test_the_error_of_a_bad_line_names_its_number_and_field(raw: bytes, message: str) -> None:
    """An `ArchiveLine` has number, bytes, whether it is complete, and the bytes of the file read so far."""
    with pytest.raises(SchemaError, match=message):
        ItemReader("x").read(ArchiveLine(7, raw, True, 0))


def test_optional_fields_may_be_null() -> None:
    raw = b'{"published_at": "2009-01-01T02:13:00+01:00", "title": "x", "url": null, "summary": null, "source": null}'
    item = ItemReader("x").read(ArchiveLine(1, raw, True, 0))
    assert (item.url, item.summary, item.source, item.published_at.hour) == ("", "", "", 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl.gz", GOOD, "named .gz but not compressed as such"),
        ("a.jsonl.zst", gzip.compress(GOOD), "named .zst but not compressed as such|compressed as .gz"),
        ("a.jsonl", gzip.compress(GOOD), "compressed as .gz"),
        ("a.jsonl", zstandard.compress(GOOD), "compressed as .zst"),
        ("a.jsonl.gz", b"", "named .gz but not compressed as such"),
        ("a.jsonl.gz", gzip.compress(GOOD)[:30], "cannot be read"),
        (
            "a.csv",
            b"date,title\n2009-01-01,GM\n",
            "none of the first 1 lines .*published_at: .*its fields are date, title.*--map published_at=NAME",
        ),
        ("a.parquet", b"PAR1\x00\x00{", "damaged"),
        ("a.txt", b"date,title\n2009-01-01,GM\n", "not JSON lines but other text"),
        ("a.json", b'[{"title": "x"}]', "not JSON lines but a JSON array"),
        ("a.jsonl", GOOD.decode().encode("utf-16"), "not JSON lines but UTF-16"),
        ("a.jsonl", b"", "empty"),
        ("a.jsonl", b"\xef\xbb\xbf\n\n", "empty"),
        (
            "a.jsonl",
            b'{"date": "2009-01-01", "headline": "x"}\n' * 9,
            "none of the first 9 lines.*line 1: published_at: Field required.*its fields are date, headline",
        ),
    ],
    ids=[
        "uncompressed as gz",
        "gz as zst",
        "gz as uncompressed",
        "zst as uncompressed",
        "empty as gz",
        "truncated gz",
        "CSV without a known field",
        "damaged Parquet",
        "CSV by another name",
        "JSON array",
        "UTF-16",
        "empty",
        "byte order mark only",
        "other field names",
    ],
)
def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RiskwireError, match=message) as caught:
        open_archive(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.jsonl", tmp_path):
        with pytest.raises(RiskwireError, match="cannot be read"):
            open_archive(path)


def test_the_error_of_a_truncated_archive_names_the_last_line(tmp_path: Path) -> None:
    """Of a compressed file with 2,000 random lines, the last 20,000 bytes are missing. The lines before are yielded."""
    noise = random.Random(1)
    lines = [GOOD.replace(b"loan", b"%d" % noise.getrandbits(256)) for _ in range(2_000)]
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(lines))[:-20_000])
    lines_read = []
    with pytest.raises(RiskwireError, match=r"truncated after line 1\d\d\d"):
        lines_read.extend(open_archive(path).lines(10_000))
    assert [line.number for line in lines_read] == list(range(1, len(lines_read) + 1))


DATES = [
    ("2026-11-01T10:00:00Z", "2026-11-01T10:00:00Z"),
    ("2026-11-01T10:05:00+01:00", "2026-11-01T09:05:00Z"),
    ("2026-11-01 10:06:00", "2026-11-01T10:06:00Z"),
    (1793527560, "2026-11-01T10:06:00Z"),
    (1793527560123.0, "2026-11-01T10:06:00.123Z"),
    ("2026-11-01T10:07:00.123456789Z", "2026-11-01T10:07:00.123Z"),
    ("Sun, 01 Nov 2026 10:00:00 GMT", "2026-11-01T10:00:00Z"),
    (20261101, "2026-11-01T00:00:00Z"),
    ("1961-04-12T06:07:00Z", "1961-04-12T06:07:00Z"),
    (0, "1970-01-01T00:00:00Z"),
]


def test_dates_are_read_in_every_form_after_a_byte_order_mark_and_old_ones_are_kept(tmp_path: Path) -> None:
    lines = [json.dumps({"published_at": date, "title": f"Title {n}"}) for n, (date, _) in enumerate(DATES)]
    archive = open_archive(write_archive(tmp_path, b"\xef\xbb\xbf" + "\n".join(lines).encode(), ""))
    items = [archive.reader.read(line) for line in archive.lines(1_000)]
    assert [item.published_at for item in items] == [datetime.fromisoformat(expected) for _, expected in DATES]


def test_the_order_of_day_and_month_is_that_of_the_archive(tmp_path: Path) -> None:
    dates = ["07/11/2026 10:00", "16/07/2026 15:35"]
    content = "\n".join(json.dumps({"published_at": date, "title": "x"}) for date in dates).encode()
    archive = open_archive(write_archive(tmp_path, content, ""))
    days = [archive.reader.read(line).published_at for line in archive.lines(1_000)]
    assert [(day.day, day.month) for day in days] == [(7, 11), (16, 7)]


def test_fields_with_other_names_are_read_by_their_names_in_the_archive(tmp_path: Path) -> None:
    """A name with dots is a path."""
    content = b'{"date": "2009-01-01", "headline": {"main": "GM gets a loan"}, "title": 7, "note": null}\n'
    names = names_of(["title=headline.main, published_at=date", "text=note"])
    archive = open_archive(write_archive(tmp_path, content, ""), names)
    (item,) = [archive.reader.read(line) for line in archive.lines(1_000)]
    assert (item.title, item.published_at.year, item.text) == ("GM gets a loan", 2009, "")


@pytest.mark.parametrize("text", ["headline", "headline=title", "title=", "=x", "title=a,,"])
def test_a_map_of_field_names_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--map: not FIELD=NAME .*published_at, title"):
        names_of([text])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", '\ufeffdate,title,url\r\n2009-01-01 02:13,"GM, Ford\nget loans",\r\n\r\n2009-01-02,x,\r\n'),
        ("a.csv", 'date;title;url\n2009-01-01 02:13;"GM, Ford\nget loans";\n;;\n2009-01-02;x\n'),
        ("a.tsv", 'date\ttitle\n2009-01-01 02:13\t"GM, Ford\nget loans"\n2009-01-02\tx\tmore\n'),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"], ids=["uncompressed", "gz", "zst"])
def test_rows_of_csv_are_items(tmp_path: Path, name: str, content: str, suffix: str) -> None:
    """With a byte order mark, any delimiter, line breaks in cells, blank rows, and rows too short or too long."""
    path = write_archive(tmp_path, content.encode(), suffix).rename(tmp_path / f"{name}{suffix}")
    archive = open_archive(path, {"published_at": "date"})
    lines = list(archive.lines(1_000))
    items = [archive.reader.read(line) for line in lines]
    assert [(item.title, item.published_at.day) for item in items] == [("GM, Ford\nget loans", 1), ("x", 2)]
    assert [line.number for line in lines] == sorted({line.number for line in lines})


def test_a_row_of_csv_that_is_too_long_is_a_bad_line_and_the_next_is_read(tmp_path: Path) -> None:
    """The second row has a long cell; the third opens a quote and never closes it."""
    long = "x" * 5_000
    rows = [
        "published_at,title",
        "2009-01-01,a",
        f"2009-01-01,{long}",
        "2009-01-02,b",
        f'2009-01-01,"{long}',
        *["y"] * 9,
    ]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(rows))
    archive = open_archive(path, max_line=1_000)
    complete = [line for line in archive.lines(1_000) if line.complete]
    assert [json.loads(line.raw).get("title") for line in complete][:2] == ["a", "b"]
    assert all(len(line.raw) <= 1_001 for line in archive.lines(1_000))


def test_rows_of_parquet_are_items(tmp_path: Path) -> None:
    """Times of any unit, with or without a zone, and days."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    moment = datetime(2009, 1, 1, 2, 13, tzinfo=UTC)
    columns = {
        "ns": pyarrow.array([moment], pyarrow.timestamp("ns", "America/New_York")),
        "ms": pyarrow.array([moment.replace(tzinfo=None)], pyarrow.timestamp("ms")),
        "day": pyarrow.array([moment.date()], pyarrow.date32()),
        "epoch": pyarrow.array([int(moment.timestamp())]),
        "headline": pyarrow.array(["GM gets a loan"]),
        "tags": pyarrow.array([["a"]]),
        "price": pyarrow.array([None], pyarrow.float64()),
    }
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    for column in ("ns", "ms", "day", "epoch"):
        archive = open_archive(path, {"published_at": column, "title": "headline"})
        (line,) = archive.lines(1_000)
        item = archive.reader.read(line)
        assert (item.title, item.published_at.date()) == ("GM gets a loan", moment.date())
        assert column == "day" or item.published_at == moment
        assert (line.number, line.bytes_read) == (1, archive.size)
