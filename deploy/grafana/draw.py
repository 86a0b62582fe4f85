"""Draws pictures of two dashboards for the README, from the queries of their panels. They are no screenshots.

python deploy/grafana/draw.py URL-OF-THE-STORE --since 2031-03-24 --until 2031-04-07 --target entity:norvane
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.dates as mdates
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

from riskwire_dashboards.answers import Asked, DataSources, Row
from riskwire_dashboards.catalogue import FOLDER
from riskwire_dashboards.expansion import TimeRange

PICTURES = Path(__file__).parent / "pictures"
_COLORS = ("#3b6fb6", "#c8a24a", "#7a7a7a", "#5d9f6c", "#b8574f", "#7e6aa8", "#4aa3a8", "#c77f3f", "#9a9a5a", "#a85d8c")
_GRID = "#dddddd"


def _series(rows: list[Row]) -> dict[str, tuple[list[datetime], list[float]]]:
    """Returns the points of each time series of an answer, by name."""
    series: dict[str, tuple[list[datetime], list[float]]] = defaultdict(lambda: ([], []))
    for row in rows:
        at = datetime.fromtimestamp(row["time"], UTC)
        for column, value in row.items():
            if column in ("time", "metric") or value is None:
                continue
            times, figures = series[row.get("metric", column)]
            times.append(at)
            figures.append(float(value))
    return series


def _draw_lines(axes: Axes, rows: list[Row]) -> None:
    """Draws time series as lines."""
    for color, (name, (times, figures)) in zip(_COLORS, _series(rows).items(), strict=False):
        axes.plot(times, figures, color=color, label=name, linewidth=1.2, marker=".", markersize=3)
    _finish(axes)


def _draw_columns(axes: Axes, rows: list[Row]) -> None:
    """Draws time series as stacked columns."""
    height: dict[datetime, float] = defaultdict(float)
    ordered = sorted(_series(rows).items(), key=lambda item: -sum(item[1][1]))
    for color, (name, (times, figures)) in zip(_COLORS, ordered, strict=False):
        axes.bar(times, figures, bottom=[height[at] for at in times], width=1 / 26, color=color, label=name)
        for at, figure in zip(times, figures, strict=True):
            height[at] += figure
    _finish(axes)


def _finish(axes: Axes) -> None:
    """Adds the legend, and dates below."""
    axes.legend(fontsize=6, ncols=2, frameon=False, loc="best")
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
    axes.grid(axis="y", color=_GRID, linewidth=0.5)


def _draw_table(axes: Axes, rows: list[Row]) -> None:
    """Draws the first rows of a table."""
    names = [name for name in rows[0] if name not in ("target", "url")]
    cells = [[_cell(row[name]) for name in names] for row in rows[:8]]
    widths = [max(len(line[index]) for line in [names, *cells]) + 2 for index in range(len(names))]
    axes.axis("off")
    table = axes.table(
        cells,
        colLabels=[name.replace("_", " ") for name in names],
        colWidths=[width / sum(widths) for width in widths],
        cellLoc="left",
        loc="upper center",
        edges="horizontal",
    )
    table.auto_set_font_size(value=False)
    table.set_fontsize(6.5)
    for cell in table.get_celld().values():
        cell.set_edgecolor(_GRID)


def _cell(value: object) -> str:
    """Returns a value of a table as text."""
    if isinstance(value, datetime):
        return f"{value:%d %b %H:%M}"
    text = "" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


_DRAW: Mapping[str, Callable[[Axes, list[Row]], None]] = {"timeseries": _draw_lines, "table": _draw_table}


def draw(name: str, titles: list[list[str]], sources: DataSources, asked: Asked) -> None:
    """Draws some panels of a dashboard into `PICTURES`.

    Args:
        name: the file of the dashboard, without its ending.
        titles: the titles of the panels, by row.
    """
    dashboard = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    panels: dict[str, dict[str, Any]] = {panel["title"]: panel for panel in dashboard["panels"]}
    marks = [
        row
        for annotation in dashboard["annotations"].get("list", [])
        for row in sources.rows(annotation["target"], {}, asked)
    ]
    figure, grid = plt.subplots(len(titles), 2, figsize=(11, 2.3 * len(titles)), dpi=100, layout="constrained")
    for row, names in zip(grid, titles, strict=True):
        for axes, title in zip(row, names, strict=True):
            panel = panels[title]
            rows = sources.rows(panel["targets"][0], panel, asked)
            stacked = panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars"
            (_draw_columns if stacked else _DRAW[panel["type"]])(axes, rows)
            if panel["type"] == "timeseries":
                for mark in marks:
                    axes.axvline(datetime.fromtimestamp(mark["time"], UTC), color="#b8574f", linewidth=0.4, alpha=0.7)
            axes.set_title(title, fontsize=8, loc="left", fontweight="bold")
            axes.tick_params(labelsize=6, length=2)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
    figure.suptitle(
        f"{dashboard['title']}: drawn from the queries of the dashboard, not seen in Grafana",
        fontsize=9,
        color="#555555",
    )
    PICTURES.mkdir(exist_ok=True)
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    # A few colors make the file a quarter as large.
    Image.open(drawn).convert("RGB").quantize(48).save(PICTURES / f"{name}.png", optimize=True)
    plt.close(figure)


def main() -> None:
    """Draws *Market mood* and *Company*."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="URL of the store on PostgreSQL")
    for option in ("--since", "--until"):
        parser.add_argument(option, required=True, type=lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC))
    parser.add_argument("--target", required=True, help="target of the picture of Company")
    arguments = parser.parse_args()
    sources = DataSources(arguments.store)
    asked = Asked(TimeRange(arguments.since, arguments.until), {"target": arguments.target})
    draw(
        "market-mood",
        [["Mood of the market", "Mood of the groups"], ["Targets by surprise", "Companies by level"]],
        sources,
        asked,
    )
    draw("company", [["Mood", "Surprise"], ["Stories", "Event types"]], sources, asked)


if __name__ == "__main__":
    main()
