"""The Kubernetes manifests: valid against the schemas, and with what each workload must have."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from containers.manifests import OVERLAYS, manifests, named, rendered, workloads
from containers.tools import require_tool

from riskwire.entities.watchlist import read_watchlist
from riskwire.ingest.feeds.feed_file import read_feeds
from riskwire.pipeline import SERVICES, SINKS, STAGES, TOPICS
from riskwire.settings import KafkaSettings, load_settings

CUSTOM_KINDS = {"PodMonitor", "ScaledObject"}
"""Kinds whose schemas no validator has; the tests below check them."""


def validated(*files: Path) -> subprocess.CompletedProcess[str]:
    """Runs the validator on files with manifests."""
    command = [require_tool("kubernetes-validate"), "--strict", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_manifests_of_every_overlay_are_valid(tmp_path: Path) -> None:
    files = [tmp_path / f"{overlay}.yaml" for overlay in OVERLAYS]
    for overlay, file in zip(OVERLAYS, files, strict=True):
        file.write_text(rendered(overlay), encoding="utf-8")
    done = validated(*files)
    report = done.stdout + done.stderr
    assert done.returncode == 0, report
    unknown = re.findall(r"Couldn't find schema for kind (\w+)", report)
    assert set(unknown) == CUSTOM_KINDS
    assert report.count(" passed for resource ") + len(unknown) == sum(len(manifests(overlay)) for overlay in OVERLAYS)


def test_a_field_that_kubernetes_does_not_know_is_refused(tmp_path: Path) -> None:
    """The validator that the other test trusts can fail."""
    file = tmp_path / "wrong.yaml"
    file.write_text(rendered("small").replace("terminationGracePeriodSeconds", "terminationGraceSeconds"))
    assert validated(file).returncode != 0


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_pod_has_more_rights_than_it_needs(overlay: str) -> None:
    for name, template in workloads(manifests(overlay)):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"].keys() >= {"cpu", "memory"}, name
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_pod_that_keeps_running_is_probed_on_the_port_of_probes(overlay: str) -> None:
    for name, template in workloads(manifests(overlay)):
        if name == "topics":
            continue
        (container,) = template["spec"]["containers"]
        assert {"name": "probes", "containerPort": 9464} in container["ports"], name
        paths = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")}
        assert paths == {
            "startupProbe": {"path": "/healthz", "port": "probes"},
            "readinessProbe": {"path": "/readyz", "port": "probes"},
            "livenessProbe": {"path": "/healthz", "port": "probes"},
        }, name


@pytest.mark.parametrize("overlay", ["production", "gpu"])
def test_each_service_has_a_deployment_a_disruption_budget_and_is_spread(overlay: str) -> None:
    resources = manifests(overlay)
    deployments, budgets = named(resources, "Deployment"), named(resources, "PodDisruptionBudget")
    assert sorted(deployments) == sorted(SERVICES)
    for name, deployment in deployments.items():
        labels = deployment["spec"]["selector"]["matchLabels"]
        assert budgets[name]["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
        template = deployment["spec"]["template"]
        assert labels.items() <= template["metadata"]["labels"].items()
        spread = template["spec"]["topologySpreadConstraints"]
        assert [rule["topologyKey"] for rule in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert all(rule["labelSelector"]["matchLabels"] == labels for rule in spread)
        assert template["spec"]["containers"][0]["args"] == [name]


@pytest.mark.parametrize("overlay", ["production", "gpu"])
def test_lag_of_existing_groups_scales_services_up_to_the_number_of_partitions(overlay: str) -> None:
    resources = manifests(overlay)
    scaled = named(resources, "ScaledObject")
    assert sorted(scaled) == ["alert", "infer", "sink"]
    addresses = next(
        value for name, value in named(resources, "ConfigMap").items() if name.startswith("riskwire-addresses")
    )
    stages = {stage.name: stage for stage in (*STAGES, *SINKS.values())}
    for name, scaling in scaled.items():
        spec = scaling["spec"]
        assert spec["scaleTargetRef"] == {"name": name}
        assert "replicas" not in named(resources, "Deployment")[name]["spec"], "apply would undo the scaling"
        assert spec["minReplicaCount"] <= spec["maxReplicaCount"] <= KafkaSettings().partitions
        for trigger in spec["triggers"]:
            metadata = trigger["metadata"]
            assert trigger["type"] == "kafka"
            stage = stages[metadata["consumerGroup"]]
            assert (stage.service, stage.reads) == (name, metadata["topic"])
            assert TOPICS[stage.reads].partitioned
            assert addresses["data"]["RISKWIRE_BUS__URL"] == f"kafka://{metadata['bootstrapServers']}"
    most = scaled["infer"]["spec"]["maxReplicaCount"]
    assert most == (KafkaSettings().partitions if overlay == "production" else 2)


def test_the_autoscaler_of_the_page_measures_its_pods() -> None:
    resources = manifests("production")
    autoscaler = named(resources, "HorizontalPodAutoscaler")["serve"]["spec"]
    assert autoscaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "serve"}
    assert "replicas" not in named(resources, "Deployment")["serve"]["spec"]


def test_infer_runs_on_nodes_with_a_gpu_in_the_overlay_for_gpus() -> None:
    pod = named(manifests("gpu"), "Deployment")["infer"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["image"] == "riskwire:gpu"
    assert {"name": "RISKWIRE_INFERENCE__DEVICE", "value": "cuda"} in container["env"]
    deployments = named(manifests("gpu"), "Deployment")
    assert {
        deployments[name]["spec"]["template"]["spec"]["containers"][0]["image"]
        for name in deployments
        if name != "infer"
    } == {"riskwire:cpu"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_secret_is_in_the_manifests_and_each_that_is_mounted_is_referred_to(overlay: str) -> None:
    resources = manifests(overlay)
    assert named(resources, "Secret") == {}
    for name, template in workloads(resources):
        (container,) = template["spec"]["containers"]
        files = {
            variable["value"] for variable in container.get("env", ()) if "/run/secrets/" in variable.get("value", "")
        }
        mounted = {
            f"/run/secrets/riskwire/{secret_file['path']}"
            for volume in template["spec"]["volumes"]
            if "secret" in volume
            for secret_file in volume["secret"]["items"]
        }
        assert files == mounted, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_covered_by_the_network_policy_and_only_the_page_and_probes_are_open(overlay: str) -> None:
    resources = manifests(overlay)
    policies = named(resources, "NetworkPolicy")
    everyone = policies["riskwire"]["spec"]
    assert everyone["policyTypes"] == ["Ingress", "Egress"]
    opened = set()
    for name, template in workloads(resources):
        labels = template["metadata"]["labels"].items()
        assert everyone["podSelector"]["matchLabels"].items() <= labels, name
        ports = {port["name"] for container in template["spec"]["containers"] for port in container.get("ports", ())}
        if (
            policies["riskwire-page"]["spec"]["podSelector"]["matchLabels"].items()
            <= template["metadata"]["labels"].items()
        ):
            opened.add(name)
            assert "page" in ports
    assert opened == ({"run"} if overlay == "small" else {"serve"})
    rules = [rule for policy in policies.values() for rule in policy["spec"].get("ingress", ())]
    assert {port["port"] for rule in rules for port in rule["ports"]} == {"probes", "page"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_prometheus_scrapes_the_port_of_probes_under_the_job_that_the_alerts_expect(overlay: str) -> None:
    monitor = named(manifests(overlay), "PodMonitor")["riskwire"]["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("probes", "/metrics")
    assert {"targetLabel": "job", "replacement": "riskwire"} in endpoint["relabelings"]
    for name, template in workloads(manifests(overlay)):
        assert monitor["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items(), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_settings_files_of_the_config_map_can_be_used(overlay: str, tmp_path: Path) -> None:
    (files,) = (value for value in named(manifests(overlay), "ConfigMap").values() if "riskwire.yaml" in value["data"])
    for name, text in files["data"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    settings = load_settings(tmp_path / "riskwire.yaml")
    assert (settings.web.probe_host, settings.web.probe_port) == ("0.0.0.0", 9464)
    assert settings.kafka.partitions == KafkaSettings().partitions
    assert len(read_watchlist(tmp_path / "watchlist.yaml").entities) >= 3
    assert len(read_feeds(tmp_path / "feeds.yaml")) >= 2
