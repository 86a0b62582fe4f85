"""An archive is read line by line with bounded lines; a file that is not an archive is refused."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
import zstandard

from riskwire.errors import RiskwireError, SchemaError
from riskwire.ingest.replay.archive import ArchiveLine, open_archive, parse_line

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
    assert [parse_line(line, "x").title for line in lines] == ["GM gets a loan", "Ford gets a loan", "GM gets a loan"]
    uncompressed = tmp_path / "elsewhere.jsonl"
    uncompressed.write_bytes(content)
    assert archive.identity == open_archive(uncompressed).identity


def test_archives_with_different_content_have_different_identities(tmp_path: Path) -> None:
    archive = open_archive(write_archive(tmp_path, GOOD, ""))
    assert archive.identity != open_archive(write_archive(tmp_path, GOOD.replace(b"GM", b"BP"), ".gz")).identity


def test_a_line_that_is_too_long_is_cut_and_the_next_line_is_read(tmp_path: Path) -> None:
    """The limit is 1,000 bytes. One byte more is kept, and the line is not `complete`, which `parse_line` refuses."""
    content = GOOD + b'{"title": "' + b"x" * 50_000 + b'"}\n' + GOOD
    first, long, last = open_archive(write_archive(tmp_path, content, ".gz")).lines(1_000)
    assert (long.number, long.complete, len(long.raw)) == (2, False, 1_001)
    assert (last.number, last.raw) == (3, first.raw)
    with pytest.raises(SchemaError, match=r"line 2: a line longer than ingest\.max_line"):
        parse_line(long, "x")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"title": "x"}', "x, line 7: published_at: Field required"),
        (b'{"published_at": "2009-01-01T02:13:00Z"}', "x, line 7: title: Field required"),
        (b'{"published_at": "soon", "title": "x"}', "x, line 7: published_at: .*'soon'"),
        (b'{"published_at": "2009-01-01T02:13:00", "title": "x"}', "published_at: .*timezone"),
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
        "time without zone",
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
        parse_line(ArchiveLine(7, raw, True, 0), "x")


def test_optional_fields_may_be_null() -> None:
    raw = b'{"published_at": "2009-01-01T02:13:00+01:00", "title": "x", "url": null, "summary": null, "source": null}'
    item = parse_line(ArchiveLine(1, raw, True, 0), "x")
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
        ("a.csv", b"date,title\n2009-01-01,GM\n", "not JSON lines"),
        ("a.parquet", b"PAR1\x00\x00{", "not JSON lines"),
    ],
    ids=[
        "uncompressed as gz",
        "gz as zst",
        "gz as uncompressed",
        "zst as uncompressed",
        "empty as gz",
        "truncated gz",
        "CSV",
        "Parquet",
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


def test_an_empty_archive_has_no_lines(tmp_path: Path) -> None:
    assert list(open_archive(write_archive(tmp_path, b"", "")).lines(1_000)) == []
