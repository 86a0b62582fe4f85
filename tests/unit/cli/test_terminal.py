"""Output of commands: text from outside is printed literally, without markup or control of the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.cli.status import show_status
from riskwire.cli.terminal import counted, print_table, printable
from riskwire.pipeline import Topic
from riskwire.settings import Settings

LOOKS_LIKE_MARKUP = [
    "\\[/x]",
    "[/x]",
    "\\\\[bold]loss[/bold]",
    "[link=file:///]x",
    ":warning: [red]",
    "a\\",
    "株式 Zürich",
]


@pytest.mark.parametrize(
    ("text", "printed"),
    [("a\x1b[2Jb", r"a\x1b[2Jb"), ("x\ny", r"x\ny"), ("Zürich 株", "Zürich 株"), ("\u202e\x9b", r"\u202e\x9b")],
    ids=["escape sequence", "line break", "letters", "direction override"],
)
def test_control_characters_are_printed_as_escapes(text: str, printed: str) -> None:
    """With `lines=True`, line breaks stay, and only they."""
    assert printable(text) == printed
    assert printable("x\n\x07", lines=True) == "x\n\\x07"


def test_one_thing_is_counted_in_the_singular() -> None:
    assert [counted(number, "story", "stories") for number in (0, 1, 2)] == ["0 stories", "1 story", "2 stories"]
    assert [counted(number, "article") for number in (1, 2)] == ["1 article", "2 articles"]


@pytest.mark.parametrize("cell", LOOKS_LIKE_MARKUP)
def test_a_cell_that_looks_like_markup_is_printed_literally(cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The library for tables (rich) would read such text as its markup, and drop or style it."""
    print_table(("title", "more"), [(cell, "next")])
    assert capsys.readouterr().out.splitlines()[1].split("  ")[0].rstrip() == cell


def test_a_cell_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("title",), [("\x1b]0;mine\x07\x1b[2J",), ("two\nrows",)])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()[1:]] == [
        r"\x1b]0;mine\x07\x1b[2J",
        r"two\nrows",
    ]


def test_the_text_of_an_empty_table_is_printed_literally(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("title",), [], empty="No stories about \\[/x] and [/y]\x1b[2J.")
    assert capsys.readouterr().out == "No stories about \\[/x] and [/y]\\x1b[2J.\n"


@pytest.mark.parametrize("width", [80, 20])
def test_an_uncut_column_keeps_its_width_in_a_narrow_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The widest place is printed whole in 80 columns and in 20; other columns are cut."""
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [("11@1234567890", "infer", "articles[11]@1234567890", "SchemaError: " + "long " * 40), ("7", "a", "b", "c")]
    print_table(("place", "stage", "from", "error"), rows, uncut=("place",))
    assert "11@1234567890" in capsys.readouterr().out


async def test_status_names_a_bundle_whose_path_looks_like_markup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The path of the bundle contains `[/x]`, a closing tag of the markup of rich. It is printed as it is."""
    settings = Settings.model_validate({"data": tmp_path, "inference": {"bundle": tmp_path / "[" / "x]"}})
    await (await EmbeddedBus.open(settings.data, settings.bus)).close()
    assert await show_status(settings, json=False, partitions=False) == 0
    printed = capsys.readouterr().out
    assert "[/x]" in printed.replace("\n", "")
    assert Topic.ARTICLES in printed
