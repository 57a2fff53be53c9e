"""The manifests in deploy/k8s say what is true. They are parsed, never applied."""

import re
from pathlib import Path
from typing import Any

import pytest

from chassis.closing import CLOSE_SECONDS
from heartbeat.stream import GROUP
from spotkeeper_contracts import PARTITIONS, TOPICS
from tests.deploy.files import (
    K8S,
    OPERATIONS_PORT,
    ROOT,
    SETTINGS,
    Document,
    documents,
    image_environment,
    objects,
    pod,
    settings_of,
    unknown_settings,
)

DEPLOYMENTS, JOBS = objects("Deployment"), objects("Job")
WORKLOADS = {**DEPLOYMENTS, **JOBS}
SECRET = "postgresql://from-a-secret"
GROUPS = {
    "registry": "registry",
    "heartbeat": GROUP,
    "commands": "commands",
    "decision": "decision",
}


def container(workload: Document) -> dict[str, Any]:
    (only,) = pod(workload)["spec"]["containers"]
    return dict(only)


def environment(workload: Document) -> dict[str, str]:
    """What the process is told; a secret's value is not known here."""
    told = {one["name"]: str(one.get("value", SECRET)) for one in container(workload)["env"]}
    (source,) = container(workload)["envFrom"]
    shared = objects("ConfigMap")[source["configMapRef"]["name"]]["data"]
    return {**image_environment(), **shared, **told}


def test_every_service_is_deployed_and_every_owner_of_data_migrated() -> None:
    assert set(DEPLOYMENTS) == set(SETTINGS)
    assert set(JOBS) == {f"{name}-migrate" for name in SETTINGS if name != "gateway"}


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_variable_is_a_setting_with_a_value_that_it_takes(name: str) -> None:
    service = name.removesuffix("-migrate")
    told = environment(WORKLOADS[name])
    assert unknown_settings(service, told) == set()
    assert (settings_of(service, told).dsn is None) == (service == "gateway")
    command = ["python", "-m", service, *(["migrate"] if name in JOBS else [])]
    assert container(WORKLOADS[name])["command"] == command


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_probes_ask_the_operations_port(name: str) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(DEPLOYMENTS[name])["ports"]}
    assert ports["operations"] == OPERATIONS_PORT
    settings = settings_of(name, environment(DEPLOYMENTS[name])).model_dump()
    assert settings["operations_port"] == OPERATIONS_PORT
    assert ports.get("http") == settings.get("port")
    for probe, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
        asked = container(DEPLOYMENTS[name])[f"{probe}Probe"]["httpGet"]
        assert asked == {"path": path, "port": "operations"}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_has_the_time_to_drain(name: str) -> None:
    settings = settings_of(name, environment(DEPLOYMENTS[name]))
    grace = pod(DEPLOYMENTS[name])["spec"]["terminationGracePeriodSeconds"]
    hook = container(DEPLOYMENTS[name]).get("lifecycle", {}).get("preStop", {})
    pause = int(hook["exec"]["command"][1]) if hook else 0
    assert grace > settings.drain_seconds + CLOSE_SECONDS + pause


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_has_no_rights(name: str) -> None:
    spec = pod(WORKLOADS[name])["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    rights = container(WORKLOADS[name])["securityContext"]
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("kind", ["Deployment", "PodDisruptionBudget", "Service"])
def test_selectors_find_pods(kind: str) -> None:
    pods = [pod(workload)["metadata"]["labels"] for workload in DEPLOYMENTS.values()]
    for name, found in objects(kind).items():
        selector = found["spec"]["selector"]
        wanted = selector if kind == "Service" else selector["matchLabels"]
        assert [labels for labels in pods if wanted.items() <= labels.items()], name


def test_a_budget_guards_every_service() -> None:
    assert set(objects("PodDisruptionBudget")) == set(SETTINGS)


def test_what_scales_exists_and_has_partitions_enough() -> None:
    assert set(objects("HorizontalPodAutoscaler")) | set(objects("ScaledObject")) == set(SETTINGS)
    for name, scaled in objects("ScaledObject").items():
        assert scaled["spec"]["scaleTargetRef"]["name"] in DEPLOYMENTS
        assert scaled["spec"]["maxReplicaCount"] <= PARTITIONS
        (trigger,) = scaled["spec"]["triggers"]
        topic = TOPICS[trigger["metadata"]["topic"]]
        assert name in topic.read_by
        assert trigger["metadata"]["consumerGroup"] == GROUPS[name]
        servers = environment(DEPLOYMENTS[name])["SPOTKEEPER_KAFKA_BOOTSTRAP_SERVERS"]
        assert trigger["metadata"]["bootstrapServers"] == servers


def test_only_owners_of_data_reach_the_database() -> None:
    policies = objects("NetworkPolicy")
    wanted = policies["owners-may-use-postgres"]["spec"]["podSelector"]["matchLabels"]
    for name, workload in WORKLOADS.items():
        labels = pod(workload)["metadata"]["labels"]
        assert (wanted.items() <= labels.items()) == (name != "gateway"), name
    default = policies["nothing-by-default"]["spec"]
    assert default == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_open_ports_have_names_that_pods_know() -> None:
    known = {
        port["name"]
        for deployment in DEPLOYMENTS.values()
        for port in container(deployment)["ports"]
    }
    for policy in objects("NetworkPolicy").values():
        for rule in policy["spec"].get("ingress", []):
            assert {port["port"] for port in rule["ports"]} <= known


def test_every_manifest_belongs_to_a_kustomization() -> None:
    listed: set[Path] = set()
    for path in K8S.rglob("kustomization.yaml"):
        (content,) = documents(path)
        resources = {(path.parent / resource).resolve() for resource in content["resources"]}
        assert all(resource.exists() for resource in resources)
        listed |= resources
    manifests = {path for path in K8S.rglob("*.yaml") if path.name != "kustomization.yaml"}
    assert manifests <= listed


def test_every_secret_is_explained() -> None:
    explained = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    used = {
        one["valueFrom"]["secretKeyRef"]["name"]
        for workload in WORKLOADS.values()
        for one in container(workload)["env"]
        if "valueFrom" in one
    }
    assert used
    assert all(re.search(rf"create secret generic {name} ", explained) for name in used)
