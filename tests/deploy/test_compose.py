"""docker-compose.yml says what is true. It is parsed, never run: that needs a Docker engine."""

import re
from importlib.util import find_spec

import pytest

from chassis.settings import PREFIX
from spotkeeper.embedded.artifacts import read_lock
from tests.deploy.files import (
    OPERATIONS_PORT,
    ROOT,
    SETTINGS,
    compose,
    image_environment,
    settings_of,
    unknown_settings,
    vendored_schema,
)

SERVICES = compose()["services"]
JOBS = [f"{name}-migrate" for name in SETTINGS if name != "gateway"]


def environment(name: str) -> dict[str, object]:
    """What the process in a container is told."""
    return {**image_environment(), **SERVICES[name]["environment"]}


def test_the_file_has_the_form_that_compose_reads() -> None:
    errors = [error.message for error in vendored_schema("compose-spec").iter_errors(compose())]
    assert errors == []


@pytest.mark.parametrize("name", [*SETTINGS, *JOBS])
def test_every_variable_is_a_setting_with_a_value_that_it_takes(name: str) -> None:
    service = name.removesuffix("-migrate")
    assert unknown_settings(service, environment(name)) == set()
    settings = settings_of(service, environment(name))
    assert settings.kafka_bootstrap_servers == "kafka:9092"
    assert (settings.dsn is None) == (service == "gateway")


@pytest.mark.parametrize("name", [*SETTINGS, *JOBS])
def test_every_command_is_one_that_exists(name: str) -> None:
    python, flag, module, *words = SERVICES[name]["command"]
    assert (python, flag) == ("python", "-m")
    assert find_spec(f"{module}.__main__") is not None
    assert words == (["migrate"] if name in JOBS else [])


def test_what_is_waited_for_exists_and_can_come_true() -> None:
    for name, service in SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} waits for {other}"
            match wanted["condition"]:
                case "service_healthy":
                    assert "healthcheck" in SERVICES[other], f"{other} is never healthy"
                case "service_completed_successfully":
                    assert SERVICES[other].get("restart") == "on-failure", f"{other} never ends"


def test_services_start_only_after_their_topics_and_tables_are_there() -> None:
    for name in SETTINGS:
        jobs = [job for job in SERVICES[name]["depends_on"] if job in JOBS]
        assert jobs, f"{name} starts without topics"
    for job in JOBS:
        assert set(SERVICES[job]["depends_on"]) == {"kafka", "roles"}


def test_images_are_pinned_and_kafka_is_the_tested_one() -> None:
    images = {service["image"] for service in SERVICES.values()} - {"spotkeeper:latest"}
    assert all(re.fullmatch(r"[\w/-]+:v?\d+(\.\d+)+", image) for image in images)
    (kafka,) = {jar.version for jar in read_lock() if jar.artifact == "kafka_2.13"}
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka}"


def test_nothing_is_open_to_other_machines() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not any(port.endswith(f":{OPERATIONS_PORT}") for port in ports)


def test_the_public_port_is_the_gateway_s() -> None:
    (published,) = SERVICES["gateway"]["ports"]
    settings = settings_of("gateway", environment("gateway"))
    assert published.endswith(f":{settings.model_dump()['port']}")


def test_health_is_asked_where_it_is_told() -> None:
    assert image_environment()[f"{PREFIX}OPERATIONS_PORT"] == str(OPERATIONS_PORT)
    for name in SETTINGS:
        (url,) = re.findall(r'"(http://[^"]+)"', SERVICES[name]["healthcheck"]["test"][-1])
        assert url == f"http://127.0.0.1:{OPERATIONS_PORT}/readyz"


def test_every_mounted_file_is_there() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    paths = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert paths
    assert all((ROOT / path).exists() for path in paths)
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith("./")}
    assert named == set(compose()["volumes"])


def test_every_password_is_asked_for_and_explained() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    asked_for = set(re.findall(r"\$\{(\w+):\?see docs/running\.md\}", text))
    assert asked_for == set(re.findall(r"\$\{(\w+)", text)), "a variable has no explanation"
    explained = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    assert all(name in explained for name in asked_for)
