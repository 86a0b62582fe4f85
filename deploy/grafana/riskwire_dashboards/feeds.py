"""The dashboard *Feeds*: whether the sources answer, and what they bring."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from riskwire_dashboards.fragments import in_range, step_of, time_of
from riskwire_dashboards.panels import THIRD, columns, dashboard, figure, job_choice, lines, rows
from riskwire_dashboards.queries import TABLE, at_end, over_time, series_of, table_of

_BY_SOURCE = table_of(f"""
SELECT articles.source, count(*) AS articles, count(*) FILTER (WHERE articles.backfill) AS backfill,
  count(*) FILTER (WHERE articles.status = 'unsupported') AS other_language,
  {time_of("max(articles.seen_ms)")} AS newest
FROM articles
WHERE {in_range("articles.seen_ms")}
GROUP BY 1 ORDER BY 2 DESC, 1
LIMIT 200
""")
_ARTICLES = series_of(f"""
SELECT {step_of("seen_ms")} AS "time", count(*) FILTER (WHERE NOT backfill) AS "new",
  count(*) FILTER (WHERE backfill) AS "backfill"
FROM articles
WHERE {in_range("seen_ms")}
GROUP BY 1 ORDER BY 1
""")
_SILENT = table_of(f"""
SELECT source, {time_of("seen_ms")} AS newest
FROM sources
ORDER BY seen_ms, source
LIMIT 50
""")


def feeds() -> Dashboard:
    """Returns the dashboard."""
    return dashboard(
        "riskwire-feeds",
        "riskwire: Feeds",
        "Whether the feeds answer and what they bring. `riskwire feeds list --failing` says what is wrong with each.",
        [
            figure(
                "Feeds that work",
                "Share of the polled feeds that answer as expected.",
                at_end('min(job:riskwire_ingest_feeds_working:ratio{job="$job"})', "working"),
                unit="percentunit",
            ),
            figure(
                "Feeds without dates",
                "Feeds of which at least half the dates cannot be read.",
                at_end('sum(riskwire_ingest_feeds_unreadable_dates{job="$job"})', "feeds"),
            ),
            figure(
                "Feeds with old news only",
                "Feeds whose new items all come out as backfill.",
                at_end('sum(riskwire_ingest_feeds_all_backfill{job="$job"})', "feeds"),
            ),
            figure(
                "Faulty documents",
                "Documents in the time range that could be read only in part.",
                at_end('sum(increase(riskwire_ingest_faulty_documents_total{job="$job"}[$__range]))', "documents"),
            ),
            figure(
                "Repaired documents",
                "Documents in the time range with wrong bytes or markup that were repaired and read.",
                at_end('sum(increase(riskwire_ingest_repaired_documents_total{job="$job"}[$__range]))', "documents"),
            ),
            figure(
                "Unknown dates",
                "New items in the time range whose time of publication is unknown.",
                at_end('sum(increase(riskwire_ingest_unknown_dates_total{job="$job"}[$__range]))', "items"),
            ),
            lines(
                "Feeds by state",
                "How the polls of the feeds have gone.",
                over_time('sum by (state) (riskwire_ingest_feeds{job="$job"})', "{{state}}"),
                width=THIRD,
            ).min(0),
            lines(
                "Fetches",
                "Fetches of feeds by outcome.",
                over_time(
                    'sum by (outcome) (rate(riskwire_ingest_fetches_total{job="$job"}[$__rate_interval]))',
                    "{{outcome}}",
                ),
                unit="reqps",
                width=THIRD,
            ).min(0),
            lines(
                "Articles and skipped entries",
                "Articles published by kind, and entries that became no article by reason.",
                over_time(
                    'sum by (kind) (rate(riskwire_ingest_articles_total{job="$job"}[$__rate_interval]))', "{{kind}}"
                ),
                over_time(
                    'sum by (reason) (rate(riskwire_ingest_skipped_entries_total{job="$job"}[$__rate_interval]))',
                    "skipped: {{reason}}",
                ),
                unit="cps",
                width=THIRD,
            ).min(0),
            rows(
                "Feeds that do not answer",
                "Seconds since each feed last answered as expected; the longest silent first. Feeds that never"
                " answered count from 1970.",
                at_end(
                    'sort_desc(topk(50, time() - riskwire_ingest_feed_last_success_timestamp_seconds{job="$job"}))', ""
                ).format(TABLE),
            ),
            lines(
                "From published to seen",
                "Time from the publication of an item until it was first seen; without backfill.",
                *(
                    over_time(
                        f"histogram_quantile({share}, sum by (le)"
                        ' (rate(riskwire_ingest_publication_age_seconds_bucket{job="$job"}[$__rate_interval])))',
                        legend,
                    )
                    for share, legend in ((0.5, "half"), (0.95, "95 %"))
                ),
                unit="s",
            ),
            columns("Articles", "Articles in the store by the time at which they were seen.", _ARTICLES, width=THIRD),
            rows("Articles by source", "Articles in the store, seen in the time range.", _BY_SOURCE, width=THIRD),
            rows(
                "Silent sources",
                "When each source last had an article; the longest silent first.",
                _SILENT,
                width=THIRD,
            ),
        ],
        variables=[job_choice()],
    )
