"""Alerts, dashboard and scraping speak of metrics, probes and pages that exist."""

import json
import re

import httpx
import prometheus_client
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

import chassis.metrics
import commands.metrics
import decision.metrics
import gateway.metrics
import heartbeat.metrics
from chassis.health import Health, OperationsServer
from tests.deploy.files import DEPLOY, OPERATIONS_PORT, ROOT, SETTINGS

MODULES = (
    chassis.metrics,
    commands.metrics,
    decision.metrics,
    gateway.metrics,
    heartbeat.metrics,
)
ENDS = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}
OF_PROCESSES = {"process_cpu_seconds_total", "process_resident_memory_bytes"}


def known_metrics() -> set[str]:
    """The names under which Prometheus sees what the services measure."""
    declared = [value for module in MODULES for value in vars(module).values()]
    families = [
        family
        for metric in declared
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
    ]
    return {f"{family.name}{end}" for family in families for end in ENDS[family.type]}


def alerts() -> dict[str, dict[str, str]]:
    content = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    return {rule["alert"]: rule for group in content["groups"] for rule in group["rules"]}


def dashboard() -> list[tuple[str, str]]:
    """The title of each panel with each of its expressions."""
    content = json.loads((DEPLOY / "grafana" / "spotkeeper.json").read_text(encoding="utf-8"))
    return [
        (panel["title"], target["expr"])
        for panel in content["panels"]
        for target in panel.get("targets", [])
    ]


EXPRESSIONS = [*((name, rule["expr"]) for name, rule in alerts().items()), *dashboard()]


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_an_expression_names_metrics_that_exist(name: str, expression: str) -> None:
    named = set(re.findall(r"\b(?:spotkeeper|process)_\w+", expression))
    assert named <= known_metrics() | OF_PROCESSES
    assert named or "up{" in expression


def test_the_process_metrics_are_exposed() -> None:
    exposed = prometheus_client.generate_latest().decode()
    assert all(f"\n{name} " in exposed for name in OF_PROCESSES)


def test_every_metric_is_declared_in_a_list_that_is_checked() -> None:
    files = set((ROOT / "services").rglob("metrics.py"))
    assert files <= {ROOT / str(module.__file__) for module in MODULES}


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_what_to_do(name: str) -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"\n### {name}\n" in runbook


def test_the_runbook_has_no_section_for_an_alert_that_is_gone() -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### ([A-Z]\w+)$", runbook, re.MULTILINE)) == set(alerts())


def test_every_service_is_scraped_on_its_operations_port() -> None:
    path = DEPLOY / "prometheus" / "prometheus.yml"
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["scrape_configs"]
    found = {
        name: source["port"]
        for job in jobs
        for source in job["dns_sd_configs"]
        for name in source["names"]
        if name == job["job_name"]
    }
    assert found == dict.fromkeys(SETTINGS, OPERATIONS_PORT)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_a_path_that_is_asked_for_is_served(path: str) -> None:
    health = Health("a part")
    health.set("a part", ok=True)
    server = OperationsServer(health, host="127.0.0.1", port=0)
    address = await server.start()
    try:
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://{address}{path}")).status_code == httpx.codes.OK
    finally:
        await server.stop()
