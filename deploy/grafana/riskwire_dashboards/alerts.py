"""The dashboard *Alerts*: what is open, what there was, how fast people answer, and the rate beside its budget."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from riskwire_dashboards.fragments import in_range, step_of, time_of
from riskwire_dashboards.panels import (
    COMPANY,
    FULL,
    HALF,
    THIRD,
    bars,
    columns,
    dashboard,
    figure,
    job_choice,
    lines,
    rows,
)
from riskwire_dashboards.queries import at_end, over_time, series_of, table_of

_OPENED = f"""
SELECT id, min(at_ms) AS opened_ms
FROM alerts
GROUP BY id
HAVING {in_range("min(at_ms)")}
"""
_ANSWERED = f"""
WITH opened AS ({_OPENED.strip()}), answered AS (
  SELECT alert, min(at_ms) AS at_ms FROM commands WHERE kind = 'acknowledge' GROUP BY alert
)
"""

_OPEN = table_of("SELECT count(*) AS open FROM alert_heads WHERE status <> 'resolved'")
_OPEN_PAGES = table_of(
    "SELECT count(*) AS pages FROM alert_heads WHERE status <> 'resolved' AND body::json ->> 'tier' = 'page'"
)
_UNANSWERED = table_of("""
SELECT count(*) AS unanswered
FROM alert_heads
WHERE status <> 'resolved' AND body::json ->> 'tier' = 'page'
  AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.alert = alert_heads.id AND commands.kind = 'acknowledge')
""")
_OPENED_COUNT = table_of(f"SELECT count(*) AS opened FROM ({_OPENED.strip()}) AS opened")
_MEDIAN = table_of(f"""
{_ANSWERED.strip()}
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY (answered.at_ms - opened.opened_ms) / 1000.0) AS median
FROM opened JOIN answered ON answered.alert = opened.id
""")
_OPEN_ALERTS = table_of(f"""
SELECT {time_of("alert_heads.at_ms")} AS at, body::json ->> 'name' AS name, body::json ->> 'tier' AS tier,
  body::json ->> 'severity' AS severity, body::json ->> 'kind' AS kind,
  replace(body::json -> 'events' ->> 0, '_', ' ') AS type, (body::json ->> 'stories')::int AS stories,
  body::json ->> 'summary' AS summary, acknowledged.by AS acknowledged_by, alert_heads.target
FROM alert_heads
LEFT JOIN LATERAL (
  SELECT commands.body::json ->> 'by' AS by
  FROM commands
  WHERE commands.alert = alert_heads.id AND commands.kind = 'acknowledge'
  ORDER BY commands.at_ms DESC LIMIT 1
) AS acknowledged ON true
WHERE alert_heads.status <> 'resolved'
ORDER BY position(body::json ->> 'tier' IN 'page notice digest'), alert_heads.at_ms DESC, alert_heads.id
LIMIT 200
""")
_BY_SEVERITY = series_of(f"""
SELECT {step_of("at_ms")} AS "time", body::json ->> 'severity' AS metric, count(*) AS "alerts"
FROM alerts
WHERE status <> 'resolved' AND {in_range("at_ms")}
GROUP BY 1, 2 ORDER BY 1, 2
""")
_BY_TYPE = table_of(f"""
SELECT coalesce(replace(body::json -> 'events' ->> 0, '_', ' '), body::json ->> 'kind') AS type, count(*) AS alerts
FROM alerts
WHERE status <> 'resolved' AND {in_range("at_ms")}
GROUP BY 1 ORDER BY 2 DESC, 1
LIMIT 20
""")
_BY_TARGET = table_of(f"""
SELECT alert_heads.body::json ->> 'name' AS name, count(*) AS notifications, count(DISTINCT alerts.id) AS alerts,
  alert_heads.target
FROM alerts JOIN alert_heads USING (id)
WHERE alerts.status <> 'resolved' AND {in_range("alerts.at_ms")}
GROUP BY alert_heads.target, alert_heads.body::json ->> 'name'
ORDER BY 2 DESC, alert_heads.target
LIMIT 30
""")
_TIME_TO_ACKNOWLEDGE = table_of(f"""
{_ANSWERED.strip()}
SELECT alert_heads.body::json ->> 'tier' AS tier, count(*) AS alerts, count(answered.at_ms) AS acknowledged,
  round((percentile_cont(0.5) WITHIN GROUP (ORDER BY answered.at_ms - opened.opened_ms) / 60000)::numeric, 1)
    AS median_minutes,
  round((percentile_cont(0.9) WITHIN GROUP (ORDER BY answered.at_ms - opened.opened_ms) / 60000)::numeric, 1)
    AS p90_minutes
FROM opened JOIN alert_heads USING (id) LEFT JOIN answered ON answered.alert = opened.id
GROUP BY 1 ORDER BY 1
""")
_NEAR_MISSES = table_of(f"""
SELECT replace(body::json ->> 'reason', '_', ' ') AS reason, count(*) AS stories
FROM near_misses
WHERE {in_range("at_ms")}
GROUP BY 1 ORDER BY 2 DESC, 1
""")

_ACHIEVED = over_time('rate:riskwire_alerting_notifications:sum{job="$job"}', "{{rate}}: achieved")
_ALLOWED = over_time('rate:riskwire_alerting_notifications_expected:sum{job="$job"}', "{{rate}}: budget")
_DELIVERIES = over_time(
    'sum by (channel, outcome) (increase(riskwire_notify_deliveries_total{job="$job"}[$__rate_interval]))',
    "{{channel}}: {{outcome}}",
)
_PENDING = over_time('sum(riskwire_notify_pending{job="$job"})', "waiting")
_LATENCY = at_end(
    "histogram_quantile(0.95, sum by (le)"
    ' (increase(riskwire_notify_fetched_to_notified_seconds_bucket{job="$job"}[$__range])))',
    "95 %",
)


def alerts() -> Dashboard:
    """Returns the dashboard."""
    return dashboard(
        "riskwire-alerts",
        "riskwire: Alerts",
        "Alerts of riskwire: what is open, what there was, how fast it was answered, and the rate beside its budget.",
        [
            figure("Open", "Alerts that have not resolved.", _OPEN),
            figure("Open pages", "Alerts of the tier page that have not resolved.", _OPEN_PAGES),
            figure("Unanswered pages", "Open pages that nobody has acknowledged.", _UNANSWERED),
            figure("Opened", "Alerts that opened in the time range.", _OPENED_COUNT),
            figure("Time to acknowledge", "Median of the alerts that opened in the time range.", _MEDIAN, unit="s"),
            figure(
                "Fetched to notified",
                "95 % of the alerts in the time range reached a receiver within this time from when their newest story"
                " was fetched.",
                _LATENCY,
                unit="s",
            ),
            rows(
                "Open alerts",
                "Pages first, then the newest.",
                _OPEN_ALERTS,
                width=FULL,
                links={"name": COMPANY},
            ),
            columns("Alerts by severity", "Alerts that fired or escalated.", _BY_SEVERITY),
            lines(
                "Rate beside budget",
                "Notifications on parties in the last 90 days of news, by kind and tier, and how many the budget of"
                " spikes and slides allows. Events have no budget.",
                _ACHIEVED,
                _ALLOWED,
            ).min(0),
            bars("Alerts by type", "Alerts that fired or escalated, by what happened.", _BY_TYPE),
            rows(
                "Alerts by target", "Alerts that fired or escalated.", _BY_TARGET, width=THIRD, links={"name": COMPANY}
            ),
            bars("Near misses", "Stories that came near an alert and did not notify, by reason.", _NEAR_MISSES),
            rows(
                "Time to acknowledge by tier",
                "Of the alerts that opened in the time range: how many were acknowledged, and after how many minutes.",
                _TIME_TO_ACKNOWLEDGE,
                width=HALF,
            ),
            lines(
                "Deliveries",
                "Deliveries to receivers by outcome, and those that wait for a receiver.",
                _DELIVERIES,
                _PENDING,
            ).min(0),
        ],
        since="now-7d",
        variables=[job_choice()],
    )
