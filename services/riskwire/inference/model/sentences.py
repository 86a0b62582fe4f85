"""Sentence boundaries, by nupunkt.

Chosen on 200 Reuters leads over syntok: 8 ms against 66 ms, and syntok cuts "DETROIT (Reuters)" and "Group ( 0992.HK )"
off the sentence they open; nupunkt knows "Inc.", "U.S." and the like, and now and then keeps two sentences together,
which costs less than losing a name's context.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import nupunkt

LONGEST = 2_000
"""Most characters of one sentence; what has no full stop for longer is a table or a list and is cut at white space."""

_PARAGRAPH = re.compile(r"\n[ \t\r\f\v\u00a0]*\n\s*")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A stretch of a document, without white space at its edges."""

    start: int
    end: int
    title: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """What is read as one: `content`, of which the first `title_length` characters are a title (sentence 0)."""

    content: str
    title_length: int = 0

    @classmethod
    def of_article(cls, title: str, text: str) -> Document:
        """Offsets are into `title + "\\n" + text`."""
        return cls(f"{title}\n{text}", len(title))

    def sentences(self) -> Iterator[Sentence]:
        """Title first, then the sentences of the text in order; none is blank.

        What is left of a title that is too long for a sentence is read like the text.
        """
        title = True
        for part in _bounded(self.content, 0, self.title_length):
            yield replace(part, title=title)
            title = False
        start = self.title_length
        for gap in _PARAGRAPH.finditer(self.content, start):
            yield from self._paragraph(start, gap.start())
            start = gap.end()
        yield from self._paragraph(start, len(self.content))

    def _paragraph(self, start: int, end: int) -> Iterator[Sentence]:
        span = _stripped(self.content, start, end)
        if not span:
            return
        start, end = span
        for first, last in nupunkt.sent_spans(self.content[start:end]):
            yield from _bounded(self.content, start + first, start + last)


def _bounded(content: str, start: int, end: int) -> Iterator[Sentence]:
    while end - start > LONGEST:
        space = max(content.rfind(" ", start + 1, start + LONGEST), content.rfind("\n", start + 1, start + LONGEST))
        cut = space if space > start else start + LONGEST
        span = _stripped(content, start, cut)
        if span:
            yield Sentence(*span)
        start = cut
    span = _stripped(content, start, end)
    if span:
        yield Sentence(*span)


def _stripped(content: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and content[start].isspace():
        start += 1
    while start < end and content[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None
