"""Drawings of a back-test, by Matplotlib: each as SVG for the page and as a PNG file."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from riskwire.backtest.results import BacktestResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SETTINGS = {"svg.hashsalt": "riskwire", "svg.fonttype": "none", "font.size": 9.0}
"""Settings under which the same figures give the same bytes, and text stays text."""
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_COLOURS = {"page": "#b42318", "notice": "#e07b39", "digest": "#c7ccd1"}
_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_IDENTIFIER = re.compile(r'(\bid="|url\(#|href="#)')
_MAX_DELAY_H = 72


@dataclass(frozen=True, slots=True)
class Drawing:
    """One drawing.

    Attributes:
        name: the name of its file, without `.png`.
        svg: the drawing as part of a page.
    """

    name: str
    caption: str
    svg: str
    png: bytes


def has_matplotlib() -> bool:
    """Returns whether Matplotlib is installed (extra `report`)."""
    return find_spec("matplotlib") is not None


def draw(results: BacktestResults) -> list[Drawing]:
    """Returns the drawings of a back-test; those of events and rivals only if it has any."""
    drawings = [_drawing("timeline", "Notifications a week, by tier", (10, 3), lambda axes: _timeline(axes, results))]
    if results.figures is not None:
        caption = "Events by type: told, and told by a notification of the same family"
        drawings.append(_drawing("types", caption, (10, 5), lambda axes: _types(axes, results)))
        caption = "Hours from the first story of an event to the notification"
        drawings.append(_drawing("delay", caption, (6, 3), lambda axes: _delays(axes, results)))
        if results.rivals:
            caption = "Events told by each alarm at about the same number of notifications"
            drawings.append(_drawing("rivals", caption, (7, 3), lambda axes: _rivals(axes, results)))
    return drawings


def _drawing(name: str, caption: str, size: tuple[float, float], fill: Callable[[Axes], None]) -> Drawing:
    import matplotlib as mpl  # noqa: PLC0415 - an extra
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        fill(axes)
        png, svg = io.BytesIO(), io.StringIO()
        figure.savefig(png, format="png", dpi=120, metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata=_NO_METADATA)
    markup = _IDENTIFIER.sub(rf"\g<1>{name}-", _PROLOGUE.sub("", svg.getvalue(), count=1))
    return Drawing(name, caption, markup, png.getvalue())


def _timeline(axes: Axes, results: BacktestResults) -> None:
    """Draws notifications a week, stacked by tier, and above them the crises of the list."""
    first = _monday(results.first.date())
    weeks: list[Any] = [first + timedelta(weeks=index) for index in range((results.last.date() - first).days // 7 + 1)]
    base = [0] * len(weeks)
    for tier in ("page", "notice"):
        counts = Counter(
            _monday(notification.at.date()) for notification in results.notifications if notification.tier == tier
        )
        heights = [counts[week] for week in weeks]
        axes.bar(weeks, heights, width=6, bottom=base, color=_COLOURS[tier], label=tier)
        base = [lower + height for lower, height in zip(base, heights, strict=True)]
    if results.matches is not None:
        top = max(base, default=1) * 1.06 + 1
        for reported, marker in ((True, "v"), (False, "x")):
            days: list[Any] = [
                telling.event.day
                for telling in results.matches.tellings
                if telling.event.severity == 3 and (telling.notification is not None) is reported
            ]
            label = "crisis, told" if reported else "crisis, missed"
            axes.scatter(
                days, [top] * len(days), marker=marker, s=14, color="#1b1f24" if reported else "#b42318", label=label
            )
    axes.set_ylabel("a week")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False)


def _types(axes: Axes, results: BacktestResults) -> None:
    assert results.figures is not None
    by_type = sorted(results.figures.by_type.items(), key=lambda item: item[1].events)
    names = [name for name, _ in by_type]
    axes.barh(names, [figures.events for _, figures in by_type], color=_COLOURS["digest"], label="events")
    axes.barh(names, [figures.told for _, figures in by_type], color="#9cc2e5", label="told")
    same = [figures.same_family for _, figures in by_type]
    axes.barh(names, same, height=0.4, color="#0b5cad", label="told, same family")
    axes.legend(loc="lower right", frameon=False)


def _delays(axes: Axes, results: BacktestResults) -> None:
    assert results.matches is not None
    delays = [telling.delay_s / 3_600 for telling in results.matches.tellings if telling.delay_s is not None]
    bins = list(range(-48, _MAX_DELAY_H + 1, 4))
    axes.hist(delays, bins=bins, color="#0b5cad")
    axes.set_xlabel("hours")
    axes.set_ylabel("events")


def _rivals(axes: Axes, results: BacktestResults) -> None:
    assert results.figures is not None
    rows = [("riskwire", results.figures), *((rival.name, rival.figures) for rival in results.rivals)]
    names = [name for name, _ in reversed(rows)]
    shares = [figures.whole.told_share for _, figures in reversed(rows)]
    bars = axes.barh(names, shares, color=["#9cc2e5"] * (len(rows) - 1) + ["#0b5cad"])
    axes.bar_label(bars, labels=[f"{share:.2f}" for share in shares], padding=3)
    axes.set_xlim(0, 1)
    axes.set_xlabel("events told")


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
