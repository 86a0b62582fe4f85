"""The dashboards of Grafana as code: panels, the queries behind them, and how Grafana expands these queries.

`deploy/grafana/build.py` writes the dashboards as JSON, which Grafana provisions. Trends by the time of events come
from PostgreSQL, the health of the pipeline from Prometheus.
"""
