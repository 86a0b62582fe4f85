"""The dashboard *Company*: the trend of one target with its past, what happened, its stories and its alerts."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from riskwire_dashboards.fragments import in_range, is_adverse, level_of, step_of, time_of, type_of
from riskwire_dashboards.panels import FULL, HALF, THIRD, bars, choice, columns, dashboard, lines, mood, rows
from riskwire_dashboards.queries import SqlAnnotation, series_of, table_of

_PAST_MS = 28 * 86_400_000
_TARGET = "${target:sqlstring}"

_TARGETS = """
SELECT name AS __text, target AS __value
FROM targets
ORDER BY kind <> 'entity', stories DESC, name
LIMIT 2000
"""
_MOOD = series_of(f"""
WITH steps AS (
  SELECT {step_of("start_ms")} AS step, sum(positive - negative) AS score,
    sum(negative + neutral + positive) AS weight
  FROM trends
  WHERE target = {_TARGET}
    AND start_ms BETWEEN $__unixEpochNanoFrom() / 1000000 - {_PAST_MS} AND $__unixEpochNanoTo() / 1000000
  GROUP BY 1
), with_past AS (
  SELECT step, score / nullif(weight, 0) AS mood, sum(score) OVER past / nullif(sum(weight) OVER past, 0) AS baseline
  FROM steps
  WINDOW past AS (ORDER BY step RANGE BETWEEN {_PAST_MS // 1000} PRECEDING AND 1 PRECEDING)
)
SELECT step AS "time", mood AS "mood", baseline AS "mean of the 28 days before"
FROM with_past
WHERE step >= $__unixEpochNanoFrom() / 1000000000
ORDER BY 1
""")
_SURPRISE = series_of(f"""
SELECT {step_of("trends.start_ms")} AS "time", max(trends.surprise) AS "surprise",
  max((targets.nearest::json ->> 'threshold')::float) AS "threshold of a notice"
FROM trends JOIN targets USING (target)
WHERE trends.target = {_TARGET} AND {in_range("trends.start_ms")}
GROUP BY 1 ORDER BY 1
""")
_VOLUME = series_of(f"""
SELECT {step_of("signals.counted_ms")} AS "time",
  count(DISTINCT signals.story) FILTER (WHERE {is_adverse("signals")}) AS "adverse stories",
  count(DISTINCT signals.story) AS "stories"
FROM signals
WHERE signals.target = {_TARGET} AND NOT signals.superseded AND {in_range("signals.counted_ms")}
GROUP BY 1 ORDER BY 1
""")
_TYPES = series_of(f"""
SELECT {step_of("signals.counted_ms")} AS "time", {type_of("signals")} AS metric,
  count(DISTINCT signals.story) AS "stories"
FROM signals
WHERE signals.target = {_TARGET} AND NOT signals.superseded AND {type_of("signals")} IS NOT NULL
  AND {in_range("signals.counted_ms")}
GROUP BY 1, 2 ORDER BY 1, 2
""")
_STORIES = table_of(f"""
WITH first AS (
  SELECT DISTINCT ON (signals.story) signals.*
  FROM signals
  WHERE signals.target = {_TARGET} AND NOT signals.superseded AND {in_range("signals.counted_ms")}
  ORDER BY signals.story, signals.counted_ms, signals.article
)
SELECT {time_of("first.counted_ms")} AS counted, first.title, first.publisher, {level_of("first")} AS level,
  {type_of("first")} AS type, round(first.adverse::numeric, 2) AS adverse,
  round((first.score_1e4 / 10000.0)::numeric, 2) AS score, stories.articles, first.url
FROM first JOIN stories ON stories.target = first.target AND stories.story = first.story
ORDER BY first.counted_ms DESC, first.article
LIMIT 200
""")
_ALERTS = table_of(f"""
SELECT {time_of("alerts.at_ms")} AS at, alerts.status, alerts.body::json ->> 'tier' AS tier,
  alerts.body::json ->> 'severity' AS severity, alerts.body::json ->> 'summary' AS summary
FROM alert_heads JOIN alerts USING (id)
WHERE alert_heads.target = {_TARGET} AND {in_range("alerts.at_ms")}
ORDER BY alerts.at_ms DESC, alerts.status
LIMIT 100
""")
_NEAR_MISSES = table_of(f"""
SELECT replace(body::json ->> 'reason', '_', ' ') AS reason, count(*) AS stories
FROM near_misses
WHERE target = {_TARGET} AND {in_range("at_ms")}
GROUP BY 1 ORDER BY 2 DESC, 1
""")
_ALERT_MARKS = f"""
SELECT alerts.at_ms / 1000 AS "time", alerts.body::json ->> 'summary' AS text,
  alerts.status || ',' || (alerts.body::json ->> 'tier') AS tags
FROM alert_heads JOIN alerts USING (id)
WHERE alert_heads.target = {_TARGET} AND {in_range("alerts.at_ms")}
ORDER BY alerts.at_ms
"""


def company() -> Dashboard:
    """Returns the dashboard."""
    return dashboard(
        "riskwire-company",
        "riskwire: Company",
        "One company, group or topic, or the market: its trend, what happened to it, its stories and its alerts.",
        [
            mood(
                "Mood",
                "Mean score of the stories, from -1 (bad) to 1 (good), and the mean of the 28 days before each step.",
                _MOOD,
                width=FULL,
            ),
            lines(
                "Surprise",
                "-log10 of the chance of as much bad news. The threshold is the present one of the window nearest to"
                " firing.",
                _SURPRISE,
                step="15m",
            ).min(0),
            lines("Stories", "How many stories there were, and how many of them were adverse.", _VOLUME, step="1h").min(
                0
            ),
            columns("Event types", "Stories by the most probable type of what happened.", _TYPES, width=THIRD * 2),
            bars("Near misses", "Stories that came near an alert and did not notify, by reason.", _NEAR_MISSES),
            rows(
                "Latest stories",
                "Each story by its first article. It counts when it was seen, or if it is backfill, when published.",
                _STORIES,
                width=FULL,
                links={"title": "${__data.fields.url}"},
            ),
            rows("Alerts", "Every record of every alert of the target.", _ALERTS, width=HALF * 2),
        ],
        since="now-30d",
        variables=[choice("target", "Target", _TARGETS)],
        annotations=[SqlAnnotation("Alerts", "red", _ALERT_MARKS)],
    )
