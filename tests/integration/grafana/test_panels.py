"""Every query of every panel, against a real Prometheus and a real PostgreSQL that a replay with a crisis has filled.

Variables and macros are expanded as Grafana does. Of each panel, `dashboard_facts` says what its answer must hold.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from dashboard_facts.catalogue import FACTS
from dashboard_facts.fact import CRISIS_DAY, WHOLE_REPLAY, PanelFact
from dashboard_facts.news import ALERT_MARKS

from riskwire.demo import CRISIS
from riskwire_dashboards.answers import Asked, DataSources
from riskwire_dashboards.catalogue import FOLDER
from riskwire_dashboards.expansion import TimeRange

pytestmark = [
    pytest.mark.needs_postgresql,
    pytest.mark.needs_prometheus,
    pytest.mark.slow,
    pytest.mark.timeout(2_400),  # the replay runs within the first test
]

DASHBOARDS = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
PANELS = [(name, panel["title"]) for name, dashboard in DASHBOARDS.items() for panel in dashboard["panels"]]
CHOSEN = {"target": CRISIS, "job": "riskwire"}
"""The values of the variables."""


def _asked(fact: PanelFact) -> Asked:
    now = datetime.now(UTC)
    return Asked(fact.period or TimeRange(now - timedelta(minutes=15), now), CHOSEN)


def _panel(dashboard: str, title: str) -> dict[str, Any]:
    (panel,) = [panel for panel in DASHBOARDS[dashboard]["panels"] if panel["title"] == title]
    return panel


@pytest.mark.parametrize(("dashboard", "title"), PANELS, ids=lambda value: value.replace(" ", "-"))
def test_a_panel_answers_what_happened(dashboard: str, title: str, data_sources: DataSources) -> None:
    panel, fact = _panel(dashboard, title), FACTS[dashboard][title]
    answers = [data_sources.rows(query, panel, _asked(fact)) for query in panel["targets"]]
    for query, rows in zip(panel["targets"], answers, strict=True):
        if query.get("format") == "time_series":
            _assert_that_grafana_can_draw(rows)
    assert fact.holds(answers), f"{fact.statement} But the answers are {answers}"


def _assert_that_grafana_can_draw(rows: list[dict[str, Any]]) -> None:
    """Grafana makes time series of rows that are sorted by a time. A text names the series; the others are numbers.

    No series may have two points of one time.
    """
    assert rows, "no points"
    times = [row["time"] for row in rows]
    assert times == sorted(times)
    assert len({(row["time"], row.get("metric")) for row in rows}) == len(rows)
    figures = [value for row in rows for name, value in row.items() if name not in ("time", "metric")]
    assert all(value is None or not isinstance(value, str) for value in figures)


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_every_panel_has_a_fact(dashboard: str) -> None:
    titles = [title for name, title in PANELS if name == dashboard]
    assert sorted(titles) == sorted(FACTS[dashboard])


def test_alerts_are_marked_on_the_trends_of_the_company(data_sources: DataSources) -> None:
    (annotation,) = DASHBOARDS["company.json"]["annotations"]["list"]
    rows = data_sources.rows(annotation["target"], {}, _asked(ALERT_MARKS))
    assert ALERT_MARKS.holds([rows])
    assert all(CRISIS_DAY.since_ms <= row["time"] * 1000 <= CRISIS_DAY.until_ms for row in rows)


def test_the_variable_of_the_company_offers_the_companies_with_the_most_stories_first(
    data_sources: DataSources,
) -> None:
    (variable,) = DASHBOARDS["company.json"]["templating"]["list"]
    rows = data_sources.rows(variable["query"], {}, Asked(WHOLE_REPLAY))
    assert rows[0] == {"__text": "Norvane Motors", "__value": CRISIS}
    assert rows[-1]["__value"].partition(":")[0] != "entity"


def test_the_role_of_grafana_cannot_write(data_sources: DataSources) -> None:
    with (
        psycopg.connect(data_sources.postgresql) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("DELETE FROM alerts")
