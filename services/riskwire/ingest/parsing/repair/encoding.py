"""Decodes a document. A byte that does not fit costs one character, never the encoding of the whole document.

An encoding is taken from the byte order mark, the header, or the XML declaration. A document that is valid UTF-8 is
UTF-8, whatever else is declared: text in another encoding is hardly ever valid UTF-8 by chance. In UTF-8 a byte that
fits nowhere is read as Windows-1252, from which it mostly comes (0x92 is an apostrophe).
"""

from __future__ import annotations

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UTF16_WITHOUT_BOM = ((re.compile(rb"[<{]\0[^\0]\0"), "utf-16-le"), (re.compile(rb"\0[<{]\0[^\0]"), "utf-16-be"))

_DECLARATION = re.compile(rb"<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
_DECLARED_BYTES = 1_024
"""Bytes of a document in which its XML declaration is searched."""
_HEADER = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.I)

_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
"""Encodings that browsers read as a larger encoding (https://encoding.spec.whatwg.org/)."""
_SINGLE_BYTE = re.compile(r"cp(?:437|85\d|866|874|125\d)|iso8859-\d+|koi8-[rtu]|mac-\w+")
_MULTI_BYTE = re.compile(r"gb18030|big5\w*|euc_\w+|cp9(?:32|49|50)|shift_jis\w*|iso2022_jp\w*|johab")
_STRAY = re.compile("[\udc80-\udcff]")
_SEQUENCES = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""Characters of several bytes in UTF-8."""


def decode(body: bytes, content_type: str = "") -> tuple[str, list[str]]:
    """Returns the text of a document, and the repairs.

    Args:
        content_type: the header `Content-Type`, which may name the encoding.
    """
    for bom, encoding in _BOMS:
        if body.startswith(bom):
            return _decode_as(body.removeprefix(bom), encoding)
    for beginning, encoding in _UTF16_WITHOUT_BOM:
        if beginning.match(body):
            return _decode_as(body, encoding)
    try:
        valid = body.decode("utf-8")
    except UnicodeDecodeError:
        valid = None
    labels = [_HEADER.search(content_type), _DECLARATION.search(body[:_DECLARED_BYTES])]
    declared = [_codec(_to_text(label[1])) for label in labels if label]
    other_names = [name for name in declared if name not in {"", "utf-8"}]
    if valid is not None:
        if other_names and other_names[0].startswith("iso2022"):  # which looks like ASCII
            return _decode_as(body, other_names[0])
        is_other = bool(other_names) and "utf-8" not in declared and not valid.isascii()
        return valid, [f"declared as {other_names[0]}, but is UTF-8"] if is_other else []
    if other_names and ("utf-8" not in declared or not _is_mostly_utf8(body)):
        return _decode_as(body, other_names[0])
    return _decode_as(body, "utf-8")


def _to_text(label: str | bytes) -> str:
    return label.decode("ascii", "replace") if isinstance(label, bytes) else label


def _codec(label: str) -> str:
    """Returns the name of Python's codec for a label, or an empty string for one that no document should have.

    Codecs that are no encodings of text (`zip`), or are slow (`punycode`), are not used. A declaration that can be read
    as ASCII is not in UTF-16.
    """
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        return ""
    if name.startswith(("utf-8", "utf-16", "utf-32")):
        return "utf-8"
    name = _WIDER.get(name, name)
    return name if _SINGLE_BYTE.fullmatch(name) or _MULTI_BYTE.fullmatch(name) else ""


def _is_mostly_utf8(body: bytes) -> bool:
    """Returns whether at least half of the bytes beyond ASCII are parts of characters in UTF-8."""
    beyond = sum(map(len, re.findall(rb"[\x80-\xff]+", body)))
    return 2 * sum(map(len, _SEQUENCES.findall(body))) >= beyond


def _decode_as(body: bytes, encoding: str) -> tuple[str, list[str]]:
    """Returns a text decoded from one encoding, and the repair of the bytes that do not fit, if any."""
    if encoding == "utf-8":
        text, count = _STRAY.subn(_from_cp1252, body.decode("utf-8", "surrogateescape"))
    else:
        text = body.decode(encoding, "replace")
        count = text.count("\ufffd")
    if not count:
        return text, []
    return text, [f"{count} {'byte is' if count == 1 else 'bytes are'} not {encoding.upper()}"]


def _from_cp1252(match: re.Match[str]) -> str:
    """Returns the character of a byte, which the codec has left as a lone surrogate, in Windows-1252."""
    return bytes([ord(match[0]) - 0xDC00]).decode("cp1252", "replace")
