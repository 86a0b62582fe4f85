"""The dashboard *Market mood*: trends of the market, of groups and of topics, and which targets are worst."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from riskwire_dashboards.fragments import MOOD, in_range, is_adverse, level_of, step_of
from riskwire_dashboards.panels import COMPANY, FULL, dashboard, lines, mood, rows
from riskwire_dashboards.queries import series_of, table_of

_MOST_TOPICS = 8

_MARKET = series_of(f"""
SELECT {step_of("start_ms")} AS "time", {MOOD} AS "market"
FROM trends
WHERE target = 'market' AND {in_range("start_ms")}
GROUP BY 1 ORDER BY 1
""")
_GROUPS = series_of(f"""
SELECT {step_of("trends.start_ms")} AS "time", targets.name AS metric, {MOOD} AS "mood"
FROM trends JOIN targets USING (target)
WHERE targets.kind = 'group' AND {in_range("trends.start_ms")}
GROUP BY 1, 2 ORDER BY 1, 2
""")
_TOPICS = series_of(f"""
WITH busiest AS (
  SELECT targets.target, targets.name
  FROM trends JOIN targets USING (target)
  WHERE targets.kind = 'topic' AND {in_range("trends.start_ms")}
  GROUP BY 1, 2 ORDER BY sum(trends.stories) DESC, targets.target LIMIT {_MOST_TOPICS}
)
SELECT {step_of("start_ms")} AS "time", busiest.name AS metric, {MOOD} AS "mood"
FROM trends JOIN busiest USING (target)
WHERE {in_range("start_ms")}
GROUP BY 1, 2 ORDER BY 1, 2
""")
_VOLUME = series_of(f"""
SELECT {step_of("start_ms")} AS "time", sum(stories) AS "stories", sum(articles) AS "articles"
FROM trends
WHERE target = 'market' AND {in_range("start_ms")}
GROUP BY 1 ORDER BY 1
""")
_SURPRISE = series_of(f"""
SELECT {step_of("start_ms")} AS "time", max(surprise) AS "surprise"
FROM trends
WHERE target = 'market' AND {in_range("start_ms")}
GROUP BY 1 ORDER BY 1
""")
_BY_SURPRISE = table_of(f"""
SELECT targets.name, targets.kind, max(trends.surprise) AS surprise, sum(trends.stories) AS stories,
  round(({MOOD})::numeric, 2) AS mood, targets.target
FROM trends JOIN targets USING (target)
WHERE {in_range("trends.start_ms")}
GROUP BY targets.target, targets.name, targets.kind
HAVING max(trends.surprise) > 0
ORDER BY surprise DESC, stories DESC, targets.target
LIMIT 30
""")
_BY_LEVEL = table_of(f"""
WITH told AS (
  SELECT signals.target, signals.story, max(CASE WHEN {is_adverse("signals")} THEN signals.adverse END) AS adverse,
    bool_or({level_of("signals")} = 'material') AS material
  FROM signals
  WHERE NOT signals.superseded AND {in_range("signals.counted_ms")}
  GROUP BY 1, 2
)
SELECT targets.name, count(*) FILTER (WHERE told.material) AS material,
  count(told.adverse) - count(*) FILTER (WHERE told.material) AS mild, count(*) AS stories,
  round((count(told.adverse)::numeric / count(*)), 2) AS adverse_share, targets.target
FROM told JOIN targets USING (target)
WHERE targets.kind = 'entity'
GROUP BY targets.target, targets.name
HAVING count(told.adverse) > 0
ORDER BY material DESC, mild DESC, stories DESC, targets.target
LIMIT 30
""")


def market_mood() -> Dashboard:
    """Returns the dashboard."""
    link = {"name": COMPANY}
    return dashboard(
        "riskwire-market-mood",
        "riskwire: Market mood",
        "How good or bad the news is, for the market and its parts, and who had the most bad news.",
        [
            mood(
                "Mood of the market",
                "Mean score of all stories, from -1 (bad) to 1 (good). Backfill is left out.",
                _MARKET,
                width=FULL,
            ),
            mood("Mood of the groups", "Mean score of the stories on each group of the watchlist.", _GROUPS),
            mood(
                "Mood of the topics",
                f"Mean score of the stories on each topic; the {_MOST_TOPICS} topics with the most stories.",
                _TOPICS,
            ),
            rows(
                "Targets by surprise",
                "The largest surprise of each target in the time range: -log10 of the chance of as much bad news.",
                _BY_SURPRISE,
                links=link,
            ),
            rows(
                "Companies by level",
                "Stories that are materially or mildly adverse for a company, by their worst article.",
                _BY_LEVEL,
                links=link,
            ),
            lines(
                "Stories and articles", "How much news there was. A story may have many articles.", _VOLUME, step="1h"
            ),
            lines(
                "Surprise of the market",
                "The largest surprise of each step.",
                _SURPRISE,
                step="15m",
            ).min(0),
        ],
        since="now-7d",
    )
