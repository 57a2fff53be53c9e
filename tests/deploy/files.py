"""The files of `deploy/`, read, and what the services know that these must agree with."""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator

from chassis.settings import PREFIX, ServiceSettings
from commands.settings import CommandsSettings
from decision.settings import DecisionSettings
from gateway.settings import GatewaySettings
from heartbeat.settings import HeartbeatSettings
from registry.settings import RegistrySettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
K8S = DEPLOY / "k8s"

OPERATIONS_PORT = 9100
SETTINGS: dict[str, type[ServiceSettings]] = {
    "gateway": GatewaySettings,
    "registry": RegistrySettings,
    "heartbeat": HeartbeatSettings,
    "commands": CommandsSettings,
    "decision": DecisionSettings,
}

Document = Mapping[str, Any]


def compose() -> Document:
    """docker-compose.yml, with its anchors resolved and its variables as they stand."""
    content: Document = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return content


def documents(path: Path) -> Iterator[Document]:
    """All documents of one YAML file."""
    return (one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one)


def objects(kind: str) -> dict[str, Document]:
    """The Kubernetes objects of a kind, by name."""
    found = (one for path in sorted(K8S.rglob("*.yaml")) for one in documents(path))
    return {one["metadata"]["name"]: one for one in found if one["kind"] == kind}


def pod(workload: Document) -> Document:
    """The pod that a Deployment or a Job makes."""
    template: Document = workload["spec"]["template"]
    return template


def image_environment() -> dict[str, str]:
    """What the Dockerfile's last stage sets."""
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    last_stage = dockerfile.rpartition("\nFROM ")[2]
    return dict(re.findall(rf"({PREFIX}\w+)=(\S+)", last_stage))


def unknown_settings(service: str, environment: Mapping[str, object]) -> set[str]:
    """The variables of ours that no setting of the service reads."""
    fields = SETTINGS[service].model_fields
    known = {f"{PREFIX}{name.upper()}{end}" for name in fields for end in ("", "_FILE")}
    return {name for name in environment if name.startswith(PREFIX)} - known


def settings_of(service: str, environment: Mapping[str, object]) -> ServiceSettings:
    """The service's settings as it would read them; raises what it would raise."""
    values: dict[str, Any] = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    return SETTINGS[service](**values)


def vendored_schema(name: str) -> Draft7Validator:
    """A schema that check-jsonschema brings along; its files are read, nothing is fetched."""
    package = importlib.util.find_spec("check_jsonschema")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "builtin_schemas" / "vendor" / f"{name}.json"
    return Draft7Validator(json.loads(path.read_text(encoding="utf-8")))
