"""The data sources, and queries to them."""

from __future__ import annotations

from typing import Any, Self

from grafana_foundation_sdk.builders import prometheus as prometheus_builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.runtime import UnknownDataquery
from grafana_foundation_sdk.models.dashboard import AnnotationQuery, AnnotationTarget, DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="riskwire-prometheus")
POSTGRESQL = DataSourceRef(type_val="grafana-postgresql-datasource", uid="riskwire-postgresql")
"""The data sources, as `provisioning/datasources/riskwire.yaml` names them."""


TABLE = PromQueryFormat.TABLE
"""The format of a query to Prometheus whose labels are columns."""


class SqlQuery(Builder[UnknownDataquery]):
    """A query to PostgreSQL. The SDK has no type for it, so it is kept as JSON.

    A query of a time series has a column `time` (seconds since 1970), and may have a column `metric` that names the
    series of a row.
    """

    def __init__(self, sql: str, *, table: bool) -> None:
        """Makes a query whose answer is shown as a table or, if `table` is false, as time series."""
        self._json: dict[str, Any] = {
            "datasource": POSTGRESQL.to_json(),
            "editorMode": "code",
            "format": "table" if table else "time_series",
            "rawQuery": True,
            "rawSql": sql.strip(),
            "refId": "",
        }

    def ref_id(self, ref_id: str) -> Self:
        """Names the query within its panel."""
        self._json["refId"] = ref_id
        return self

    def build(self) -> UnknownDataquery:
        """Returns the query."""
        return UnknownDataquery(dict(self._json))


Query = prometheus_builders.Dataquery | SqlQuery
"""A query of a panel."""


def table_of(sql: str) -> SqlQuery:
    """Returns a query to PostgreSQL whose rows are shown as they are."""
    return SqlQuery(sql, table=True)


def series_of(sql: str) -> SqlQuery:
    """Returns a query to PostgreSQL whose rows are points of time series."""
    return SqlQuery(sql, table=False)


def over_time(expression: str, legend: str) -> prometheus_builders.Dataquery:
    """Returns a query to Prometheus over the time range.

    Args:
        legend: the name of a series, with `{{label}}` for the value of a label.
    """
    return prometheus_builders.Dataquery().expr(expression).range().legend_format(legend).datasource(PROMETHEUS)


def at_end(expression: str, legend: str) -> prometheus_builders.Dataquery:
    """Returns a query to Prometheus at the end of the time range. `legend`: see `over_time`."""
    return prometheus_builders.Dataquery().expr(expression).instant().legend_format(legend).datasource(PROMETHEUS)


class _SqlAnnotationTarget(AnnotationTarget):
    """The query of an annotation. The class of the SDK has no field for SQL."""

    def __init__(self, query: dict[str, Any]) -> None:
        super().__init__()
        self._query = query

    def to_json(self) -> dict[str, object]:
        return self._query


class SqlAnnotation(Builder[AnnotationQuery]):
    """Marks on all time series of a dashboard, from rows with `time`, `text` and `tags`."""

    def __init__(self, name: str, color: str, sql: str) -> None:
        """Makes an annotation with the name by which it is switched on and off."""
        target = SqlQuery(sql, table=True).ref_id("Anno").build().data
        self._annotation = AnnotationQuery(
            name=name, datasource=POSTGRESQL, enable=True, icon_color=color, target=_SqlAnnotationTarget(target)
        )

    def build(self) -> AnnotationQuery:
        """Returns the annotation."""
        return self._annotation
