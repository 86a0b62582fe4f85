"""The dashboard *Pipeline*: whether the stages keep up, and what they fail on. All of it comes from Prometheus."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from riskwire_dashboards.panels import FULL, THIRD, dashboard, figure, job_choice, lines, rows
from riskwire_dashboards.queries import TABLE, at_end, over_time


def pipeline() -> Dashboard:
    """Returns the dashboard."""
    return dashboard(
        "riskwire-pipeline",
        "riskwire: Pipeline",
        "Health of the stages and processes. deploy/RUNBOOK.md says what to do about each alert.",
        [
            figure("Processes up", "Processes that answer Prometheus.", at_end('sum(up{job="$job"})', "up")),
            figure(
                "Lag",
                "Records that the stages have not read.",
                at_end('sum(stage:riskwire_stage_lag_records:sum{job="$job"})', "records"),
            ),
            figure(
                "Dead letters",
                "Records in the time range that could not be processed.",
                at_end('sum(increase(riskwire_dead_letters_total{job="$job"}[$__range]))', "dead letters"),
            ),
            figure(
                "Clock offset",
                "The largest distance of a clock from the time of news.",
                at_end('max(abs(riskwire_clock_offset_seconds{job="$job"}))', "offset"),
                unit="s",
            ),
            figure(
                "Blind targets",
                "Targets of the watchlist whose sources are silent.",
                at_end('max(riskwire_targets_blind{job="$job"})', "blind"),
            ),
            figure(
                "Oldest figures",
                "How old the figures are that are read from the bus or the store.",
                at_end('time() - min(riskwire_measured_timestamp_seconds{job="$job"})', "age"),
                unit="s",
            ),
            rows(
                "Firing alerts",
                "Alerts on the pipeline itself. RiskwireWatchdog always fires.",
                at_end(
                    'sum by (alertname, severity) (ALERTS{alertstate="firing", alertname=~"Riskwire.*"})', ""
                ).format(TABLE),
                width=FULL,
            ),
            lines(
                "Records by stage",
                "Records that each stage processes, of all its processes.",
                over_time('stage:riskwire_stage_records:rate5m{job="$job"}', "{{stage}}"),
                unit="rps",
            ),
            lines(
                "Lag by stage",
                "Seconds since the oldest record was published that a stage has not read.",
                over_time('stage:riskwire_stage_lag_seconds:max{job="$job"}', "{{stage}}"),
                unit="s",
            ),
            lines(
                "Age of news",
                "95 % of news is committed by a stage within this time from when it was first seen.",
                over_time('stage:riskwire_news_age_seconds:p95_5m{job="$job"}', "{{stage}}"),
                unit="s",
                width=THIRD,
            ),
            lines(
                "Time of a batch",
                "95 % of the batches of a stage are decided within this time, without their commit.",
                over_time(
                    "histogram_quantile(0.95, sum by (stage, le)"
                    ' (rate(riskwire_stage_batch_seconds_bucket{job="$job"}[$__rate_interval])))',
                    "{{stage}}",
                ),
                unit="s",
                width=THIRD,
            ),
            lines(
                "Time of a commit",
                "95 % of the steps of a stage are committed within this time.",
                over_time(
                    "histogram_quantile(0.95, sum by (stage, le)"
                    ' (rate(riskwire_stage_commit_seconds_bucket{job="$job"}[$__rate_interval])))',
                    "{{stage}}",
                ),
                unit="s",
                width=THIRD,
            ),
            lines(
                "Error budgets",
                "How fast the error budgets burn: at 1, each lasts exactly its month.",
                over_time('slo:riskwire_error_budget_burn:rate1h{job="$job"}', "{{slo}}: 1 h"),
                over_time('slo:riskwire_error_budget_burn:rate6h{job="$job"}', "{{slo}}: 6 h"),
            ),
            lines(
                "Errors",
                "Errors that stages met, and records that became dead letters, since the processes started.",
                over_time('sum by (stage, kind) (riskwire_stage_errors_total{job="$job"})', "{{stage}}: {{kind}}"),
                over_time('sum by (stage) (riskwire_dead_letters_total{job="$job"})', "{{stage}}: dead letters"),
            ).min(0),
            lines(
                "Memory",
                "Resident memory of each process.",
                over_time('process_resident_memory_bytes{job="$job"}', "{{instance}}"),
                unit="bytes",
                width=THIRD,
            ),
            lines(
                "Processor time",
                "Processors that each process uses.",
                over_time('rate(process_cpu_seconds_total{job="$job"}[$__rate_interval])', "{{instance}}"),
                width=THIRD,
            ),
            lines(
                "Backpressure",
                "Share of the time that publishers wait because a topic has too many unread records.",
                over_time(
                    'sum by (topic) (rate(riskwire_backpressure_seconds_total{job="$job"}[$__rate_interval]))',
                    "{{topic}}",
                ),
                unit="percentunit",
                width=THIRD,
            ),
        ],
        variables=[job_choice()],
    )
