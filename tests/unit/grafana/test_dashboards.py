"""The dashboards in deploy/grafana: they equal the output of the code, and every name in them exists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from riskwire.metrics.table import metric_rows
from riskwire_dashboards.catalogue import FOLDER, dashboards, encoded
from riskwire_dashboards.reference import LABELS, Reference

DEPLOY = Path(__file__).parents[3] / "deploy"
TITLES = ["Market mood", "Company", "Alerts", "Pipeline", "Feeds", "Model"]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.json"))}
READ = {name: json.loads(text) for name, text in TEXTS.items()}
OTHER_METRICS = {"up", "ALERTS", "process_resident_memory_bytes", "process_cpu_seconds_total"}
"""Metrics of Prometheus itself, and of its Python client."""

each_dashboard = pytest.mark.parametrize("name", READ)


def _queries(name: str) -> list[dict[str, Any]]:
    return [query for panel in READ[name]["panels"] for query in panel["targets"]]


def test_the_files_are_what_the_code_builds() -> None:
    """A failure means: run `python deploy/grafana/build.py`."""
    assert {name: encoded(dashboard) for name, dashboard in dashboards().items()} == TEXTS


def test_there_are_six_dashboards() -> None:
    assert sorted(dashboard["title"] for dashboard in READ.values()) == sorted(f"riskwire: {title}" for title in TITLES)
    assert len({dashboard["uid"] for dashboard in READ.values()}) == len(READ)


@each_dashboard
def test_the_sdk_reads_a_dashboard_and_writes_it_unchanged(name: str) -> None:
    """The queries of annotations are put back: the class of the SDK has no field for SQL."""
    register_default_plugins()
    written = json.loads(JSONEncoder().encode(Dashboard.from_json(READ[name])))
    for annotation, original in zip(
        written["annotations"].get("list", []), READ[name]["annotations"].get("list", []), strict=True
    ):
        annotation["target"] = original["target"]
    assert written == READ[name]


@each_dashboard
def test_every_query_has_a_name_and_a_data_source(name: str) -> None:
    provisioned = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/riskwire.yaml").read_text())
    known = {(source["type"], source["uid"]) for source in provisioned["datasources"]}
    for panel in READ[name]["panels"]:
        names = [query["refId"] for query in panel["targets"]]
        assert all(names), panel["title"]
        assert len(set(names)) == len(names) >= 1, panel["title"]
        for query in panel["targets"]:
            assert (query["datasource"]["type"], query["datasource"]["uid"]) in known, panel["title"]
            assert query["datasource"] == panel["datasource"]


@each_dashboard
def test_panels_do_not_overlap_and_each_has_a_title_of_its_own_and_a_description(name: str) -> None:
    panels = READ[name]["panels"]
    occupied: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & occupied, panel["title"]
        assert panel["description"].endswith((".", ")")), panel["title"]
        occupied |= cells
    assert len({panel["title"] for panel in panels}) == len({panel["id"] for panel in panels}) == len(panels)


def _defined_metrics() -> set[str]:
    """Returns the names of all series that riskwire and its recording rules have."""
    names = set(OTHER_METRICS)
    for row in metric_rows():
        suffixes = {"histogram": ("_bucket", "_sum", "_count")}.get(row.type, ("",))
        names |= {row.name + suffix for suffix in suffixes}
    rules = yaml.safe_load((DEPLOY / "prometheus/riskwire-recording.yml").read_text())
    return names | {rule["record"] for group in rules["groups"] for rule in group["rules"]}


@each_dashboard
def test_every_metric_of_a_query_exists(name: str) -> None:
    used = {metric for query in _queries(name) for metric in re.findall(r"([a-zA-Z_:][\w:]*)\{", query.get("expr", ""))}
    assert used <= _defined_metrics()
    assert all("{" in query["expr"] for query in _queries(name) if "expr" in query), "a series needs its job"


@each_dashboard
def test_every_variable_of_a_query_is_chosen_in_the_dashboard(name: str) -> None:
    chosen = {variable["name"] for variable in READ[name].get("templating", {}).get("list", [])}
    texts = [query.get("rawSql", query.get("expr", "")) for query in _queries(name)]
    used = {variable_name for text in texts for variable_name in re.findall(r"\$\{?([a-z]\w*)", text)}
    assert used == chosen


@each_dashboard
def test_a_link_leads_to_a_dashboard(name: str) -> None:
    uids = {dashboard["uid"] for dashboard in READ.values()}
    assert set(re.findall(r"/d/([\w-]+)", TEXTS[name])) <= uids


def test_the_reference_compares_shares_of_everything() -> None:
    reference = Reference.load()
    assert set(reference.shares) == set(LABELS)
    for shares in reference.shares.values():
        assert sum(shares.values()) == pytest.approx(1, abs=0.001)
    assert "@" in reference.bundle


def test_dashboards_are_provisioned_from_their_folder() -> None:
    provisioned = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/riskwire.yaml").read_text())
    (provider,) = provisioned["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] in (DEPLOY / "README.md").read_text(encoding="utf-8")
