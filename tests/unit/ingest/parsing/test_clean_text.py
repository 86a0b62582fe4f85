"""Cleaned text has no markup, no control characters and a bounded length, whatever the input."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.ingest.parsing.clean import clean_text, clean_title, cut, title_from, without_title

HTML = st.lists(
    st.sampled_from(
        [
            "<p>",
            "</p>",
            "<b>",
            "</b>",
            "<br/>",
            "<script>evil()</script>",
            "<a href='x'>",
            "</a>",
            "&amp;",
            "&lt;",
            "&#8212;",
            "&amp;lt;p&amp;gt;",
            "word",
            " ",
            "\n",
            "é",
            "Ã¤",
            "\u202e",
            "\u200b",
            "\x00",
            "\x85",
            "<!--",
            "-->",
            "<",
            ">",
        ]
    )
    | st.text(max_size=5)
).map("".join)


@given(HTML)
def test_control_characters_bidirectional_characters_and_runs_of_spaces_are_removed(raw: str) -> None:
    """Line breaks stay, single and without spaces around them. The content of a script is removed with its tags."""
    text = clean_text(raw, 1_000)
    assert all(character == "\n" or unicodedata.category(character) not in {"Cc", "Cs"} for character in text)
    assert not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff\u00ad")
    assert "  " not in text
    assert "\n\n" not in text
    assert " \n" not in text
    assert "\n " not in text
    assert text == text.strip()
    assert "evil()" not in text or "<script>evil()</script>" not in raw


@given(HTML, st.integers(min_value=1, max_value=80))
def test_text_is_not_longer_than_its_limit(raw: str, limit: int) -> None:
    assert len(clean_text(raw, limit)) <= limit


@given(st.text(alphabet=st.characters(categories=("L", "Nd")), min_size=1, max_size=30).filter(lambda t: t.isascii()))
def test_plain_text_is_not_changed(word: str) -> None:
    assert clean_text(f"{word} rose 3%", 200) == f"{word} rose 3%"


@given(st.text(max_size=200))
def test_a_title_is_one_line(raw: str) -> None:
    assert "\n" not in clean_title(raw)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a < b and c > d", "a < b and c > d"),
        ("AT&T &amp; Verizon", "AT&T & Verizon"),
        ("R&amp;amp;D", "R&D"),
        ("<p>One</p><p>Two</p>", "One\nTwo"),
        ("One<br>Two<br/><br/>Three", "One\nTwo\nThree"),
        ("<table><tr><td>EPS</td><td>$1.20</td></tr></table>", "EPS\n$1.20"),
        ("<b>Glo</b>bex", "Globex"),
        ("Before<script>x<y</script> after<style>p{}</style>", "Before after"),
        ("<!-- hidden -->Shown", "Shown"),
        ("Cut off <a href='https://x", "Cut off"),
        ("&lt;img src=x onerror=alert(1)&gt;Text", "Text"),
        ("tab\tand\u00a0hard\u2003space", "tab and hard space"),
        ("Â£3bn â€œdealâ€\x9d", "£3bn “deal”"),
        ("“curly” quotes — kept…", "“curly” quotes — kept…"),
        ("日経平均、１万円", "日経平均、１万円"),
        ("\ud800broken", "broken"),
    ],
    ids=[
        "comparison signs",
        "entity",
        "entity escaped twice",
        "paragraphs",
        "line breaks",
        "table",
        "tag inside a word",
        "script and style",
        "comment",
        "truncated tag",
        "escaped tag",
        "unusual spaces",
        "mojibake",
        "curly quotes",
        "full-width digits",
        "lone surrogate",
    ],
)
def test_markup_entities_and_mojibake_are_cleaned(raw: str, text: str) -> None:
    """Cleans one text.

    Args:
        raw: text or HTML from a feed.
        text: the same as plain text, with block elements as lines.
    """
    assert clean_text(raw, 1_000) == text


@pytest.mark.parametrize(
    ("raw", "outlet", "title"),
    [
        ("Chips fall - Reuters", "Reuters", "Chips fall"),
        ("Chips fall - reuters", "Reuters", "Chips fall"),
        ("Chips fall – 24/7 Wall St.", "24/7 Wall St.", "Chips fall"),
        ("Chips fall - Reuters", "", "Chips fall - Reuters"),
        ("Chips fall - Reuters", "Bloomberg", "Chips fall - Reuters"),
        (" - Reuters", "Reuters", "- Reuters"),
        ("Reuters", "Reuters", "Reuters"),
    ],
)
def test_an_outlet_after_the_title_is_removed_only_if_the_feed_names_it(raw: str, outlet: str, title: str) -> None:
    """Aggregators append the name of the publisher to a title.

    Args:
        raw: the title in the feed.
        outlet: the publisher that the feed names; empty for none.
        title: the clean title.
    """
    assert clean_title(raw, outlet) == title


def test_a_text_that_only_repeats_the_title_is_dropped() -> None:
    """Punctuation does not count, and the third argument is the outlet, which may follow the title."""
    assert without_title("Chips fall. ", "Chips fall") == ""
    assert without_title("“Chips” fall Reuters", "Chips fall", "Reuters") == ""
    assert without_title("Chips fall further", "Chips fall") == "Chips fall further"


def test_a_missing_title_is_derived_from_the_first_sentence_or_the_beginning() -> None:
    """`title_from` returns the title and the remaining text. A long first sentence is cut, and the text stays whole."""
    assert title_from("Globex fell. It was bad.") == ("Globex fell.", "It was bad.")
    assert title_from("利上げを決定。市場は下落。") == ("利上げを決定。", "市場は下落。")
    assert title_from("") == ("", "")
    title, text = title_from("word " * 60)
    assert title.endswith("word…")
    assert len(title) <= 120
    assert text == "word " * 60


def test_a_text_is_cut_after_a_word_if_one_ends_near_the_limit() -> None:
    assert cut("alpha beta gamma", 12) == "alpha beta"
    assert cut("a" * 50, 12) == "a" * 12


def test_very_deep_and_very_long_markup_is_cleaned() -> None:
    """Of a huge text only the beginning is examined, so the word in 20,000 nested elements may be lost."""
    assert clean_text("<div>" * 20_000 + "x" + "</div>" * 20_000, 100) in {"x", ""}
    assert clean_text("<" * 200_000, 100) == "<" * 100
    assert len(clean_text("&" * 200_000, 100)) == 100
