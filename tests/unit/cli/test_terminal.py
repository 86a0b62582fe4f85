"""What a command prints: text from outside is shown as it is, is no markup, and does not steer the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.cli.show import status
from riskwire.cli.terminal import print_table, printable
from riskwire.pipeline import Topic
from riskwire.settings import Settings

HOSTILE = ["\\[/x]", "[/x]", "\\\\[bold]loss[/bold]", "[link=file:///]x", ":warning: [red]", "a\\", "株式 Zürich"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x1b[2Jb", r"a\x1b[2Jb"), ("x\ny", r"x\ny"), ("Zürich 株", "Zürich 株"), ("\u202e\x9b", r"\u202e\x9b")],
)
def test_what_came_from_outside_does_not_steer_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable("x\n\x07", lines=True) == "x\n\\x07"


@pytest.mark.parametrize("cell", HOSTILE)
def test_a_cell_is_shown_as_it_is_whatever_brackets_it_has(cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("title", "more"), [(cell, "next")])
    assert capsys.readouterr().out.splitlines()[1].split("  ")[0].rstrip() == cell


def test_a_cell_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("title",), [("\x1b]0;mine\x07\x1b[2J",), ("two\nrows",)])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()[1:]] == [
        r"\x1b]0;mine\x07\x1b[2J",
        r"two\nrows",
    ]


def test_what_is_said_of_no_rows_is_no_markup_either(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("title",), [], empty="Nothing of \\[/x] and [/y]\x1b[2J.")
    assert capsys.readouterr().out == "Nothing of \\[/x] and [/y]\\x1b[2J.\n"


@pytest.mark.parametrize("width", [80, 20])
def test_a_column_that_is_needed_whole_is_never_cut(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [("11@1234567890", "infer", "articles[11]@1234567890", "SchemaError: " + "long " * 40), ("7", "a", "b", "c")]
    print_table(("place", "stage", "from", "error"), rows, whole=("place",))
    assert "11@1234567890" in capsys.readouterr().out


async def test_a_bundle_whose_path_looks_like_markup_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings.model_validate({"data": tmp_path, "inference": {"bundle": tmp_path / "[" / "x]"}})
    await (await EmbeddedBus.open(settings.data, settings.bus)).close()
    assert await status(settings, json=False, partitions=False) == 0
    told = capsys.readouterr().out
    assert "[/x]" in told.replace("\n", "")
    assert Topic.ARTICLES in told
