"""The dashboard *Model*: how the bundle labels the news, beside a reference, and how fast it reads."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from riskwire_dashboards.fragments import in_range, level_of, step_of
from riskwire_dashboards.panels import FULL, HALF, THIRD, bars, columns, dashboard, figure, job_choice, lines, rows
from riskwire_dashboards.queries import TABLE, SqlQuery, at_end, over_time, series_of, table_of
from riskwire_dashboards.reference import LABELS, Reference, shares_of

_LEAST_SHARE = 0.0001
"""The share that counts for a label without articles, so that an index of stability is finite."""


def _both(reference: Reference, compared: str) -> str:
    """Returns SQL with a row for each label: its share in the reference, and in the time range."""
    rows_of_reference = ", ".join(
        f"('{label}', {share})" for label, share in sorted(reference.shares[compared].items())
    )
    return (
        f"WITH reference (label, share) AS (VALUES {rows_of_reference}),\n"
        f"now AS ({shares_of(LABELS[compared], in_range('articles.seen_ms'))})\n"
        "SELECT coalesce(reference.label, now.label) AS label, coalesce(reference.share, 0) AS reference,"
        " coalesce(now.share, 0) AS now\n"
        "FROM reference FULL JOIN now USING (label)"
    )


def _compared(reference: Reference, compared: str) -> SqlQuery:
    """Returns the query that compares the shares of all labels."""
    order = "label" if compared == "confidence" else "reference DESC, label"
    return table_of(f"{_both(reference, compared)}\nORDER BY {order}")


def _stability(reference: Reference) -> SqlQuery:
    """Returns the query for the population stability index of each comparison.

    It is the sum over the labels of (p - q) * ln(p / q); below 0.1 counts as stable, above 0.25 as a shift.
    """
    parts = [
        f"SELECT '{compared}' AS compared, sum((greatest(now, {_LEAST_SHARE}) - greatest(reference, {_LEAST_SHARE}))"
        f" * ln(greatest(now, {_LEAST_SHARE}) / greatest(reference, {_LEAST_SHARE})))"
        f" AS index\nFROM ({_both(reference, compared)}) AS {compared}"
        for compared in ("levels", "sentiments", "confidence")
    ]
    return table_of("\nUNION ALL\n".join(parts))


_LEVELS = series_of(f"""
SELECT {step_of("articles.seen_ms")} AS "time", {level_of("articles")} AS metric, count(*) AS "articles"
FROM articles
WHERE articles.adverse IS NOT NULL AND {in_range("articles.seen_ms")}
GROUP BY 1, 2 ORDER BY 1, 2
""")
_CONFIDENCE = series_of(f"""
SELECT {step_of("seen_ms")} AS "time",
  avg(greatest(level_neutral, level_mild, level_material, level_favourable)) AS "level",
  avg(greatest(negative, neutral, positive)) AS "sentiment"
FROM articles
WHERE status = 'ok' AND {in_range("seen_ms")}
GROUP BY 1 ORDER BY 1
""")


def _bundles(reference: Reference) -> SqlQuery:
    """Returns the query for the bundles that read articles of the time range."""
    return table_of(f"""
SELECT bundle, count(*) AS articles, count(*) FILTER (WHERE status = 'unsupported') AS other_language,
  '{reference.bundle}' AS reference, bundle = '{reference.bundle}' AS comparable
FROM articles
WHERE {in_range("seen_ms")}
GROUP BY 1 ORDER BY 2 DESC, 1
""")


def model() -> Dashboard:
    """Returns the dashboard."""
    reference = Reference.load()
    beside = f"Beside the shares that {reference.bundle} gave on {reference.archive} ({reference.articles} articles)."
    return dashboard(
        "riskwire-model",
        "riskwire: Model",
        "How the bundle labels the news, beside a reference, and how fast it reads.",
        [
            bars(
                "Shift from the reference",
                "Population stability index: below 0.1 counts as stable, above 0.25 as a shift, of the news or of the"
                " model. " + beside,
                _stability(reference),
                width=HALF,
            ),
            rows(
                "Bundles",
                "Which bundles read the articles of the time range. The reference is comparable if it is of the same.",
                _bundles(reference),
                width=HALF,
            ),
            bars(
                "Levels",
                "Level of the worst mention of each article. " + beside,
                _compared(reference, "levels"),
                unit="percentunit",
            ),
            bars(
                "Sentiments",
                "Sentiment of each article. " + beside,
                _compared(reference, "sentiments"),
                unit="percentunit",
            ),
            bars(
                "Confidence",
                "Probability of the likeliest level of each article, in tenths. " + beside,
                _compared(reference, "confidence"),
                unit="percentunit",
            ),
            columns("Levels over time", "Articles by the level of their worst mention.", _LEVELS, width=THIRD),
            lines(
                "Mean confidence",
                "Mean probability of the likeliest level and of the likeliest sentiment.",
                _CONFIDENCE,
                unit="percentunit",
                width=THIRD,
                step="1h",
            ),
            bars(
                "Event types",
                "Most probable event type of each article. " + beside,
                _compared(reference, "events"),
                unit="percentunit",
            ),
            figure(
                "Wait for the model",
                "Articles that wait for the model.",
                at_end('sum(riskwire_inference_queue_articles{job="$job"})', "articles"),
                width=6,
            ),
            figure(
                "Other languages",
                "Articles in the time range that the bundle does not read.",
                at_end(
                    'sum(increase(riskwire_inference_analyses_total{job="$job", status="unsupported"}[$__range]))', "n"
                ),
                width=6,
            ),
            figure(
                "Padding",
                "Share of the tokens in the time range that are padding.",
                at_end(
                    'sum(increase(riskwire_inference_tokens_total{job="$job", kind="padding"}[$__range]))'
                    ' / sum(increase(riskwire_inference_tokens_total{job="$job"}[$__range]))',
                    "padding",
                ),
                unit="percentunit",
                width=6,
            ),
            figure(
                "From the cache",
                "Share of the sentences in the time range that were read before.",
                at_end(
                    'sum(increase(riskwire_inference_sentences_total{job="$job", result!="computed"}[$__range]))'
                    ' / sum(increase(riskwire_inference_sentences_total{job="$job"}[$__range]))',
                    "cached",
                ),
                unit="percentunit",
                width=6,
            ),
            lines(
                "Sentences",
                "Sentences a second, computed or found in the cache.",
                over_time(
                    'sum by (result) (rate(riskwire_inference_sentences_total{job="$job"}[$__rate_interval]))',
                    "{{result}}",
                ),
                unit="cps",
            ).min(0),
            lines(
                "Time of a run",
                "Half, and 95 %, of the runs of the model end within this time.",
                *(
                    over_time(
                        f"histogram_quantile({share}, sum by (le)"
                        ' (rate(riskwire_inference_run_seconds_bucket{job="$job"}[$__rate_interval])))',
                        legend,
                    )
                    for share, legend in ((0.5, "half"), (0.95, "95 %"))
                ),
                unit="s",
            ),
            rows(
                "Devices",
                "Device, provider and precision of each process that runs the model.",
                at_end('riskwire_inference_device_info{job="$job"}', "").format(TABLE),
                width=FULL,
            ),
        ],
        since="now-7d",
        variables=[job_choice()],
    )
