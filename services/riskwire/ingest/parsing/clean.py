"""From what publishers put into feeds to clean text: no HTML, no mojibake, no invisible characters, bounded."""

from __future__ import annotations

import html
import re
import unicodedata

import ftfy
from selectolax.lexbor import LexborHTMLParser

MAX_PASSES = 3
"""How often text that turns out to be escaped HTML is read again."""

MAX_TITLE = 500
MAX_MADE_TITLE = 120
"""Longest title made of a text that has none."""

_BLOCKS = (
    "address,article,aside,blockquote,br,caption,dd,div,dl,dt,fieldset,figcaption,figure,footer,form,h1,h2,h3,h4,h5,"
    "h6,header,hr,li,main,nav,ol,p,pre,section,table,td,th,tr,ul"
)
_DROPPED = "script,style,template,noscript,iframe,object,svg,math,head,textarea,select,button"
_NAMES = (
    _BLOCKS.replace(",", "|") + "|" + _DROPPED.replace(",", "|") + "|a|abbr|acronym|audio|b|bdi|bdo|big|body|center|"
    "cite|code|data|del|em|embed|font|html|i|img|input|ins|kbd|label|link|mark|meta|param|picture|q|s|samp|small|"
    "source|span|strike|strong|sub|sup|tbody|tfoot|thead|time|title|tt|u|var|video|wbr"
)
_MARKUP = re.compile(rf"</?(?:{_NAMES})(?:\s[^<>]*)?/?>|<(?:{_NAMES})\s+[\w:-]+=|<!--|<!\[CDATA\[", re.I)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

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
"""Controls, bidirectional overrides, zero-width and tag characters, surrogates. Joiners (U+200C, U+200D) stay."""

_MENDING = ftfy.TextFixerConfig(
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
    """Plain text of HTML or plain text, at most `limit` characters; blocks become lines."""
    text = raw[: limit * 20]
    for _ in range(MAX_PASSES):
        if _MARKUP.search(text):
            text = _text_of(text)
        elif _ENTITY.search(text):
            text = html.unescape(text)
        else:
            break
    text = ftfy.fix_text(_SURROGATES.sub("", text), _MENDING).translate(_INVISIBLE)  # C1 controls are mojibake's half
    text = _SPACES.sub(" ", _LINE_BREAKS.sub("\n", text))
    return cut(_BREAKS.sub("\n", text).strip(), limit)


def clean_title(raw: str, outlet: str = "") -> str:
    """One line of plain text; without the name of the outlet that aggregators put behind it."""
    title = clean_text(raw, MAX_TITLE).replace("\n", " ")
    name = clean_text(outlet, MAX_TITLE).replace("\n", " ")
    if name:
        for dash in (" - ", " – ", " — ", " | "):
            if title.casefold().endswith((dash + name).casefold()) and len(title) > len(dash + name):
                return title[: -len(dash + name)].rstrip()
    return title


def without_title(text: str, title: str, outlet: str = "") -> str:
    """The text, or nothing where it only repeats the title (and names the outlet)."""
    if len(text) > 2 * len(title + outlet) + 20:
        return text
    said = _letters(text)
    return "" if said in {_letters(title), _letters(title + outlet)} else text


def title_from(text: str) -> tuple[str, str]:
    """A title for a text that has none, and what is left of the text: its first sentence, or its beginning."""
    end = _SENTENCE_END.search(text)
    first, rest = (text[: end.end()].strip(), text[end.end() :].strip()) if end else (text, "")
    if len(first) <= MAX_MADE_TITLE:
        return first, rest
    return cut(first, MAX_MADE_TITLE - 1) + "…", text


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, ending with a whole word where one ends near."""
    if len(text) <= limit:
        return text
    space = max(text.rfind(" ", limit - limit // 5, limit + 1), text.rfind("\n", limit - limit // 5, limit + 1))
    return text[: space if space > 0 else limit].rstrip()


def _text_of(markup: str) -> str:
    tree = LexborHTMLParser(markup)
    root = tree.body or tree.root
    if root is None:
        return ""
    tree.strip_tags(_DROPPED.split(","), recursive=True)
    for block in root.css(_BLOCKS):
        block.insert_before("\n")
        block.insert_after("\n")
    return root.text(deep=True)


def _letters(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(each for each in folded if each.isalnum())
