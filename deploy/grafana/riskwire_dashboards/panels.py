"""Panels of the few kinds that the dashboards use, and a dashboard of them."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import barchart, stat, table, timeseries
from grafana_foundation_sdk.builders.common import StackingConfig, VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, QueryVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DynamicConfigValue,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.dashboard import Panel as PanelModel

from riskwire_dashboards.queries import POSTGRESQL, PROMETHEUS, Query, SqlAnnotation, SqlQuery

AnyPanel = timeseries.Panel | barchart.Panel | stat.Panel | table.Panel
_P = TypeVar("_P", timeseries.Panel, barchart.Panel, stat.Panel, table.Panel)

HALF, THIRD, FULL = 12, 8, 24
"""Widths of panels, of 24."""
COMPANY = "/d/riskwire-company?var-target=${__data.fields.target}&${__url_time_range}"
"""The address of the dashboard on the target of a row."""


def _filled(panel: _P, title: str, about: str, queries: Sequence[Query], width: int) -> _P:
    """Gives a panel its title, its description and its queries, named A, B and so on."""
    source = POSTGRESQL if isinstance(queries[0], SqlQuery) else PROMETHEUS
    panel.title(title).description(about).datasource(source).span(width).height(8)
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(query.ref_id(letter))
    return panel


def lines(
    title: str, about: str, *queries: Query, unit: str = "short", width: int = HALF, step: str | None = None
) -> timeseries.Panel:
    """Returns time series as lines.

    Args:
        step: the least length of a step; by default, that of the data source.
    """
    panel = _filled(timeseries.Panel(), title, about, queries, width).unit(unit)
    if step is not None:
        panel.interval(step)
    return (
        panel.draw_style(common.GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(5)
        .show_points(common.VisibilityMode.AUTO)
        .span_nulls(True)
        .legend(VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST).placement(_BOTTOM))
    )


_BOTTOM = common.LegendPlacement.BOTTOM


def mood(title: str, about: str, *queries: Query, width: int = HALF) -> timeseries.Panel:
    """Returns scores over time, from -1 to 1, in steps of at least an hour."""
    return lines(title, about, *queries, width=width, step="1h").min(-1).max(1).decimals(2)


def columns(title: str, about: str, *queries: Query, width: int = HALF, step: str = "1h") -> timeseries.Panel:
    """Returns counts over time as stacked columns. `step`: see `lines`."""
    return (
        lines(title, about, *queries, width=width, step=step)
        .draw_style(common.GraphDrawStyle.BARS)
        .fill_opacity(80)
        .stacking(StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
        .min(0)
        .decimals(0)
    )


def bars(title: str, about: str, *queries: Query, unit: str = "short", width: int = THIRD) -> barchart.Panel:
    """Returns one bar for each row and column of figures; the first column names the row."""
    panel = _filled(barchart.Panel(), title, about, queries, width).unit(unit).orientation(_HORIZONTAL)
    return panel.line_width(1).fill_opacity(80).gradient_mode(common.GraphGradientMode.NONE)


_HORIZONTAL = common.VizOrientation.HORIZONTAL


def figure(title: str, about: str, *queries: Query, unit: str = "short", width: int = 4) -> stat.Panel:
    """Returns single figures in large digits. No answer is shown as 0."""
    return _filled(stat.Panel(), title, about, queries, width).unit(unit).no_value("0").height(4)


def rows(
    title: str, about: str, *queries: Query, width: int = HALF, links: dict[str, str] | None = None
) -> table.Panel:
    """Returns a table.

    Args:
        links: for a column the address that its values lead to.
    """
    panel = _filled(table.Panel(), title, about, queries, width).align(common.FieldTextAlignment.AUTO).inspect(False)
    for column, url in (links or {}).items():
        link = {"title": column, "url": url, "targetBlank": url.startswith("${__data")}
        panel.override_by_name(column, [DynamicConfigValue(id_val="links", value=[link])])
    return panel


def choice(name: str, label: str, sql: str) -> QueryVariable:
    """Returns a variable with one value, of the rows of a query with `__text` and `__value`."""
    query: dict[str, object] = {
        "refId": f"variable-{name}",
        "rawSql": sql.strip(),
        "rawQuery": True,
        "format": "table",
        "editorMode": "code",
    }
    return (
        QueryVariable(name)
        .label(label)
        .datasource(POSTGRESQL)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.DISABLED)
        .multi(False)
        .include_all(False)
    )


def job_choice() -> QueryVariable:
    """Returns the variable `job`: which of the jobs of Prometheus that scrape riskwire."""
    query: dict[str, object] = {"query": "label_values(riskwire_build_info, job)", "refId": "variable-job"}
    return (
        QueryVariable("job")
        .label("Job")
        .datasource(PROMETHEUS)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(False)
        .include_all(False)
    )


def dashboard(
    uid: str,
    title: str,
    about: str,
    panels: Sequence[AnyPanel],
    *,
    since: str = "now-24h",
    variables: Sequence[QueryVariable] = (),
    annotations: Sequence[SqlAnnotation] = (),
) -> Dashboard:
    """Returns a dashboard of panels in rows, with links to the others.

    Args:
        since: the start of the time range at first.
    """
    built = (
        Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["riskwire"])
        .time(since, "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(
            DashboardLink("riskwire")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["riskwire"])
            .as_dropdown(True)
            .keep_time(True)
        )
    )
    for variable in variables:
        built.with_variable(variable)
    for annotation in annotations:
        built.annotation(annotation)
    for number, panel in enumerate(panels, 1):
        ready: Builder[PanelModel] | Any = panel.id(number)
        built.with_panel(ready)
    return built
