"""The Kubernetes manifests as `kubectl kustomize` renders them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from containers.tools import DEPLOY, output_of, require_tool

OVERLAYS = ("small", "production", "gpu")
Manifest = dict[str, Any]


@cache
def rendered(overlay: str) -> str:
    """Returns the manifests of an overlay as YAML."""
    return output_of(require_tool("kubectl"), "kustomize", DEPLOY / "kubernetes" / "overlays" / overlay)


def manifests(overlay: str) -> list[Manifest]:
    """Returns the manifests of an overlay."""
    return [manifest for manifest in yaml.safe_load_all(rendered(overlay)) if manifest]


def named(resources: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Returns the manifests of a kind, by name."""
    return {manifest["metadata"]["name"]: manifest for manifest in resources if manifest["kind"] == kind}


def workloads(resources: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Yields name and pod template of each workload."""
    for manifest in resources:
        if manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield manifest["metadata"]["name"], manifest["spec"]["template"]
