"""Cleans the texts of feeds: removes HTML, repairs mojibake, removes invisible characters, bounds the length."""

from __future__ import annotations

import html
import re
import unicodedata

import ftfy
from selectolax.lexbor import LexborHTMLParser

from riskwire.ingest.parsing.repair.markup import join_surrogates

MAX_PASSES = 3
"""How often markup is removed, because the removal may uncover escaped HTML."""

MAX_TITLE = 500
MAX_DERIVED_TITLE = 120
"""Characters of a title that is derived from the text."""

_MAX_MARKUP_FACTOR = 20
"""Characters of raw text that are examined, per character of the result."""

_BLOCK_TAGS = (
    "address,article,aside,blockquote,br,caption,dd,div,dl,dt,fieldset,figcaption,figure,footer,form,h1,h2,h3,h4,h5,"
    "h6,header,hr,li,main,nav,ol,p,pre,section,table,td,th,tr,ul"
)
_DROPPED_TAGS = "script,style,template,noscript,iframe,object,svg,math,head,textarea,select,button"
_TAGS = (
    f"{_BLOCK_TAGS},{_DROPPED_TAGS}".replace(",", "|") + "|a|abbr|acronym|audio|b|bdi|bdo|big|body|center|"
    "cite|code|data|del|em|embed|font|html|i|img|input|ins|kbd|label|link|mark|meta|param|picture|q|s|samp|small|"
    "source|span|strike|strong|sub|sup|tbody|tfoot|thead|time|title|tt|u|var|video|wbr"
)
_MARKUP = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>|<(?:{_TAGS})\s+[\w:-]+=|<!--|<!\[CDATA\[", re.I)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

_LONG_NUMBER = re.compile(r"&#(?:\d{8}\d*|[xX][0-9a-fA-F]{7}[0-9a-fA-F]*);?")
"""A character reference beyond all characters. Python converts no number of thousands of digits."""

_INVISIBLE = dict.fromkeys(
    [
        *(code for code in range(0x20) if code not in {0x09, 0x0A, 0x0D}),
        *range(0x7F, 0xA0),
        *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x200B, 0x200E, 0x200F),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xD800, 0xE000),
        *range(0xFDD0, 0xFDF0),
        *(0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB, 0xFFFC, 0xFFFE, 0xFFFF),
        *range(0xE0000, 0xE0080),
    ]
)
"""Control characters, bidirectional overrides, zero-width and tag characters, surrogates. The joiners U+200C and U+200D
are kept, because some scripts need them."""

_MOJIBAKE_FIXES = ftfy.TextFixerConfig(
    unescape_html=False,
    uncurl_quotes=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    normalization="NFC",
    explain=False,
)

_SURROGATES = re.compile("[\ud800-\udfff]")
_LINE_BREAKS = re.compile(r"[\r\n\v\f\u2028\u2029]")
_SPACES = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r" ?\n[ \n]*")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|(?<=[。！？])|\n")


def clean_text(raw: str, limit: int) -> str:
    """Returns the plain text of HTML or plain text, at most `limit` characters. Block elements become lines.

    Entities are decoded, mojibake is repaired, invisible characters are removed, and white space is collapsed. Markup
    is removed up to `MAX_PASSES` times, since it may be escaped. Of a huge text only the beginning is examined.
    """
    text = _LONG_NUMBER.sub("\ufffd", raw[: limit * _MAX_MARKUP_FACTOR])
    for _ in range(MAX_PASSES):
        if _MARKUP.search(text):
            text = _text_of_html(join_surrogates(text)[0])
        elif _ENTITY.search(text):
            text = html.unescape(join_surrogates(text)[0])
        else:
            break
    # Mojibake is repaired before control characters are removed, because it contains C1 control characters.
    text = ftfy.fix_text(_SURROGATES.sub("", text), _MOJIBAKE_FIXES).translate(_INVISIBLE)
    text = _SPACES.sub(" ", _LINE_BREAKS.sub("\n", text))
    return cut(_BREAKS.sub("\n", text).strip(), limit)


def clean_title(raw: str, outlet: str = "") -> str:
    """Returns a title as one line of plain text, without the name of the outlet that aggregators append.

    Args:
        outlet: the name of the publisher; it is removed from the end, after a dash or a bar, unless nothing else would
            remain of the title.
    """
    title = clean_text(raw, MAX_TITLE).replace("\n", " ")
    name = clean_text(outlet, MAX_TITLE).replace("\n", " ")
    if name:
        for separator in (" - ", " – ", " — ", " | "):
            suffix = separator + name
            if title.casefold().endswith(suffix.casefold()) and len(title) > len(suffix):
                return title[: -len(suffix)].rstrip()
    return title


def without_title(text: str, title: str, outlet: str = "") -> str:
    """Returns a text, or an empty string if it only repeats the title, with or without the name of the outlet.

    Only letters and digits are compared, without case.
    """
    if len(text) > 2 * len(title + outlet) + 20:  # much too long to be a repetition
        return text
    return "" if letters_of(text) in {letters_of(title), letters_of(title + outlet)} else text


def title_from(text: str) -> tuple[str, str]:
    """Derives a title for a text without one. Returns the title and the text that follows it.

    The title is the first sentence or line. If that is too long, the title is its beginning with an ellipsis, and the
    whole text is returned.
    """
    end = _SENTENCE_END.search(text)
    sentence, remainder = (text[: end.end()].strip(), text[end.end() :].strip()) if end else (text, "")
    if len(sentence) <= MAX_DERIVED_TITLE:
        return sentence, remainder
    return cut(sentence, MAX_DERIVED_TITLE - 1) + "…", text


def cut(text: str, limit: int) -> str:
    """Returns at most `limit` characters of a text, cut after a word if one ends in the last fifth of the limit.

    A shorter text is returned unchanged; otherwise white space at the end is removed.
    """
    if len(text) <= limit:
        return text
    earliest = limit - limit // 5
    space = max(text.rfind(" ", earliest, limit + 1), text.rfind("\n", earliest, limit + 1))
    return text[: space if space > 0 else limit].rstrip()


def _text_of_html(markup: str) -> str:
    """Returns the text of HTML markup, with line breaks around block elements and without scripts and styles."""
    tree = LexborHTMLParser(markup)
    root = tree.body or tree.root
    if root is None:
        return ""
    tree.strip_tags(_DROPPED_TAGS.split(","), recursive=True)
    for block in root.css(_BLOCK_TAGS):
        block.insert_before("\n")
        block.insert_after("\n")
    return root.text(deep=True)


def letters_of(text: str) -> str:
    """Returns the letters and digits of a text, normalised (NFKC) and without case, for comparison."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum())
