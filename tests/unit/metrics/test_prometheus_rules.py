"""The rules of deploy/prometheus: each alert fires when it should and only then, and has an entry in the runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from riskwire.metrics.table import metric_rows

DEPLOY = Path(__file__).parents[3] / "deploy"
FOLDER = DEPLOY / "prometheus"
RULE_FILES = ("riskwire-recording.yml", "riskwire-alerts.yml")
TESTS = "riskwire-alerts.test.yml"


def rules() -> list[dict[str, Any]]:
    """Returns every recording and alerting rule."""
    files = [yaml.safe_load((FOLDER / name).read_text(encoding="utf-8")) for name in RULE_FILES]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]


def promtool(*arguments: str) -> str:
    """Runs promtool in the folder of the rules, and returns what it prints; fails the test if promtool does."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not there (Debian: apt install prometheus)")
    checked = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return checked.stdout


@pytest.mark.needs_prometheus
def test_each_alert_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", TESTS)


@pytest.mark.needs_prometheus
def test_prometheus_accepts_the_sample_configuration_and_the_rules() -> None:
    promtool("check", "config", "--lint=all", "prometheus.yml")
    promtool("check", "rules", "--lint=all", *RULE_FILES)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_is_tested_firing_and_silent(alert: dict[str, Any]) -> None:
    """The watchdog is never silent."""
    tests = yaml.safe_load((FOLDER / TESTS).read_text(encoding="utf-8"))["tests"]
    expected = [
        bool(case["exp_alerts"])
        for test in tests
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == alert["alert"]
    ]
    assert True in expected
    assert False in expected or alert["alert"] == "RiskwireWatchdog"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_has_a_severity_a_summary_and_an_entry_in_the_runbook(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("page", "ticket", "none")
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["runbook_url"] == f"deploy/RUNBOOK.md#{alert['alert'].lower()}"
    assert f"\n## {alert['alert']}\n" in (DEPLOY / "RUNBOOK.md").read_text(encoding="utf-8")


def test_every_entry_of_the_runbook_belongs_to_an_alert() -> None:
    headings = re.findall(r"^## (.+)$", (DEPLOY / "RUNBOOK.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(headings) == {alert["alert"] for alert in ALERTS}


def test_rules_read_only_metrics_that_exist() -> None:
    """A rule on a metric that was renamed would stay silent for ever."""
    known = {row.name for row in metric_rows()} | {rule["record"] for rule in rules() if "record" in rule}
    known |= {row.name + suffix for row in metric_rows() if row.type == "histogram" for suffix in ("_bucket", "_count")}
    read = {name for rule in rules() for name in re.findall(r"(?:[a-z]+:)?riskwire_[a-z_]+(?::\w+)?", rule["expr"])}
    assert read
    assert read <= known
