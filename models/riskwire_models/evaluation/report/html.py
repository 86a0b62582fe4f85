"""HTML of the report. Every text is escaped, unless it is `Markup`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

#: Forbids scripts and every request, should a text be taken for markup after all.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1b1f24; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.4rem; border-bottom: 1px solid #d0d7de; } h3 { margin-top: 1.6rem; }
table { border-collapse: collapse; margin: .8rem 0; } caption { text-align: left; font-weight: 600; padding: .2rem 0; }
th, td { border: 1px solid #d0d7de; padding: .2rem .6rem; text-align: left; vertical-align: top; }
th { background: #f3f5f7; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: .8rem 0; } svg { max-width: 100%; height: auto; } p.note { color: #57606a; }
"""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escaped(content: object) -> Markup:
    """Returns content as HTML: `Markup` unchanged, anything else as escaped text."""
    return content if isinstance(content, Markup) else Markup(html.escape(str(content), quote=True))


def joined(parts: Iterable[object]) -> Markup:
    """Returns the parts as HTML, one after the other."""
    return Markup("\n".join(escaped(part) for part in parts))


def paragraph(content: object, *, note: bool = False) -> Markup:
    """Returns a paragraph; a note is set in grey."""
    return Markup(f'<p class="note">{escaped(content)}</p>' if note else f"<p>{escaped(content)}</p>")


def table(header: Sequence[object], rows: Iterable[Sequence[object]], caption: str = "") -> Markup:
    """Returns a table. Cells that are numbers are set to the right; floats have three digits."""
    lines = ["<table>"]
    if caption:
        lines.append(f"<caption>{escaped(caption)}</caption>")
    lines.append("<thead><tr>" + "".join(f"<th>{escaped(cell)}</th>" for cell in header) + "</tr></thead><tbody>")
    lines += ["<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows]
    return Markup("\n".join([*lines, "</tbody></table>"]))


def _cell(content: object) -> str:
    if isinstance(content, float):
        return f'<td class="number">{content:.3f}</td>'
    return f'<td class="number">{content}</td>' if isinstance(content, int) else f"<td>{escaped(content)}</td>"


def figure(svg: Markup, caption: str) -> Markup:
    """Returns a drawing with a caption."""
    return Markup(f"<figure>{svg}<figcaption>{escaped(caption)}</figcaption></figure>")


def section(title: str, *parts: object, level: int = 2) -> Markup:
    """Returns a heading and what follows it."""
    return Markup(f"<h{level}>{escaped(title)}</h{level}>\n{joined(parts)}")


def page(title: str, *parts: object) -> str:
    """Returns a whole document, which needs no other file."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escaped(_POLICY)}">\n'
        f"<title>{escaped(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escaped(title)}</h1>\n{joined(parts)}\n</body>\n</html>\n"
    )
