"""deploy/compose.yaml as Docker Compose understands it. `make image-test` also starts it."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from containers.tools import DEPLOY, output_of, require_tool

from riskwire.ingest.feeds.feed_file import read_feeds
from riskwire.pipeline import SERVICES
from riskwire.settings import load_settings

FOREIGN = {"kafka", "postgres", "prometheus", "alertmanager", "grafana"}


@cache
def configuration(profile: str) -> dict[str, Any]:
    """Returns the services of a profile, by name, with all their settings in the file."""
    command = (require_tool("docker-compose"), "--file", DEPLOY / "compose.yaml", "--profile", profile)
    details: dict[str, Any] = json.loads(output_of(*command, "config", "--format", "json"))
    return details


def services(profile: str) -> dict[str, dict[str, Any]]:
    """Returns the services of a profile, by name."""
    details: dict[str, dict[str, Any]] = configuration(profile)["services"]
    return details


def test_the_profiles_have_every_service_or_one_process() -> None:
    assert set(services("full")) == {*SERVICES, "topics", *FOREIGN}
    assert set(services("gpu")) == {*SERVICES, "topics", "infer-gpu", *FOREIGN} - {"infer"}
    assert set(services("small")) == {"small"}


@pytest.mark.parametrize("profile", ["full", "gpu", "small"])
def test_each_container_has_limits_a_restart_rule_and_a_limited_log(profile: str) -> None:
    for name, service in services(profile).items():
        assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory", "pids"}, name
        assert service["restart"] == ("on-failure:5" if name == "topics" else "unless-stopped"), name
        assert service["logging"]["options"] == {"max-size": "20m", "max-file": "5"}, name
        assert service["security_opt"] == ["no-new-privileges:true"], name


@pytest.mark.parametrize("profile", ["full", "gpu", "small"])
def test_riskwire_runs_with_a_read_only_root_and_without_capabilities(profile: str) -> None:
    for name, service in services(profile).items():
        if name not in FOREIGN:
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["tmpfs"] == ["/tmp:size=256m,mode=1777"], "a model of 68 MB is unpacked there"
            assert service["command"] == {
                "small": ["run"],
                "topics": ["topics", "create"],
                "infer-gpu": ["infer"],
            }.get(name, [name])


def test_services_wait_for_topics_and_the_store_for_a_healthy_database() -> None:
    defined = services("full")
    assert defined["topics"]["depends_on"]["kafka"]["condition"] == "service_healthy"
    for name in SERVICES:
        waits = {dependency: rule["condition"] for dependency, rule in defined[name]["depends_on"].items()}
        assert waits["topics"] == "service_completed_successfully", name
        assert (waits.get("postgres") == "service_healthy") == (name in ("sink", "serve")), name


def test_the_gpu_profile_reserves_one_gpu_for_infer() -> None:
    (device,) = services("gpu")["infer-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", 1, ["gpu"])


@pytest.mark.parametrize("profile", ["full", "small"])
def test_only_loopback_is_published_and_no_secret_is_in_the_environment(profile: str) -> None:
    for name, service in services(profile).items():
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", ())), name
        for variable in service.get("environment", {}):
            assert not variable.endswith(("PASSWORD", "TOKEN", "SECRET")), f"{name}: {variable}"


@pytest.mark.parametrize("profile", ["full", "gpu", "small"])
def test_each_container_gets_the_secrets_that_its_variables_name_and_no_others(profile: str) -> None:
    for name, service in services(profile).items():
        text = json.dumps([service.get("environment", {}), service.get("entrypoint")])
        named = set(re.findall(r"/run/secrets/(\w+)", text))
        assert {secret["source"] for secret in service.get("secrets", ())} == named, name


def test_every_secret_is_a_file_that_the_script_makes(tmp_path: Path) -> None:
    """The folder is closed to others; a second run changes nothing."""
    script = DEPLOY / "compose" / "make-secrets"
    subprocess.run([script, tmp_path / "secrets"], check=True, capture_output=True)
    secrets = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(secrets) == set(configuration("full")["secrets"])
    assert all(len(text) == 48 for text in secrets.values())
    assert len(set(secrets.values())) == len(secrets)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    subprocess.run([script, tmp_path / "secrets"], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == secrets


def test_the_files_that_containers_get_can_be_used() -> None:
    for name, config in {**configuration("full")["configs"], **configuration("small")["configs"]}.items():
        assert os.path.isfile(config["file"]), name
    settings = load_settings(DEPLOY / "compose" / "riskwire.yaml")
    assert settings.kafka.partitions == 8
    assert read_feeds(Path(configuration("full")["configs"]["feeds"]["file"]))


def test_prometheus_asks_each_service_on_its_port_of_probes() -> None:
    scrape = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scrape["job_name"] == "riskwire"
    (names,) = scrape["dns_sd_configs"]
    assert names["port"] == 9464
    assert set(names["names"]) == {*SERVICES, "infer-gpu"}
