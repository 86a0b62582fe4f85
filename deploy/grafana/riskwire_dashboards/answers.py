"""Asks the data sources what a panel asks, as Grafana does."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from riskwire_dashboards.expansion import (
    TimeRange,
    built_in_variables,
    interval_of,
    length_ms,
    with_macros,
    with_variables,
)

_POINTS: Final = 800
"""Points of a time series: the width of a panel in pixels."""
_SCRAPE_MS: Final = 15_000
"""The least interval of the Prometheus data source (`timeInterval` of its provisioning)."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DataSources:
    """Prometheus and PostgreSQL, by their addresses.

    Attributes:
        postgresql: the URL of the database, for a role that may only read.
        prometheus: the URL of the server; empty for none.
    """

    postgresql: str
    prometheus: str = ""

    def rows(self, query: Mapping[str, Any], panel: Mapping[str, Any], asked: Asked) -> list[Row]:
        """Returns the answer to a query of a panel.

        A row of Prometheus has the labels of its series, `legend` and `value`, and over a time range also `time`.

        Args:
            query: the query, as in the JSON of a dashboard.
            panel: the panel it belongs to.
        """
        least = length_ms(panel["interval"]) if "interval" in panel else 0
        if "rawSql" in query:
            return self._sql(query["rawSql"], asked, interval_of(asked.period, _POINTS, least))
        return self._prometheus(query, asked, interval_of(asked.period, _POINTS, max(least, _SCRAPE_MS)))

    def _sql(self, sql: str, asked: Asked, interval_ms: int) -> list[Row]:
        variables = built_in_variables(asked.period, interval_ms) | dict(asked.variables)
        statement = with_macros(with_variables(sql, variables), asked.period)
        with psycopg.connect(self.postgresql, row_factory=dict_row) as connection:
            return list(connection.execute(statement.encode()))

    def _prometheus(self, query: Mapping[str, Any], asked: Asked, interval_ms: int) -> list[Row]:
        variables = built_in_variables(asked.period, interval_ms, _SCRAPE_MS) | dict(asked.variables)
        parameters = {"query": with_variables(query["expr"], variables)}
        if query.get("instant"):
            path, parameters = "query", parameters | {"time": f"{asked.period.until.timestamp():.3f}"}
        else:
            path = "query_range"
            parameters |= {
                "start": f"{asked.period.since.timestamp():.3f}",
                "end": f"{asked.period.until.timestamp():.3f}",
                "step": f"{interval_ms / 1000:g}",
            }
        url = f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - the caller gives the address
            series = json.load(answer)["data"]["result"]
        return [row for one in series for row in _points(one, query.get("legendFormat", ""))]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person who looks at a dashboard has chosen: the time range, and the values of its variables."""

    period: TimeRange
    variables: Mapping[str, str] = field(default_factory=dict)


def _points(series: Mapping[str, Any], legend: str) -> Iterator[Row]:
    """Yields the points of a series of Prometheus."""
    labels = series["metric"]
    name = legend
    for label, value in labels.items():
        name = name.replace(f"{{{{{label}}}}}", value)
    for at, value in series.get("values") or [series["value"]]:
        yield {**labels, "legend": name, "time": at, "value": float(value)}
