"""What runs before a commit and after a push is what `make` runs."""

import os
import re
import tomllib

import yaml

from tests.deploy.files import ROOT, SETTINGS, vendored_schema

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"


def test_the_workflow_has_the_form_that_is_read() -> None:
    # YAML 1.1 takes `on` for a truth value; the schema knows it by its name.
    text = WORKFLOW.read_text(encoding="utf-8").replace("\non:\n", '\n"on":\n')
    errors = vendored_schema("github-workflows").iter_errors(yaml.safe_load(text))
    assert [error.message for error in errors] == []


def test_the_workflow_runs_the_one_script_on_every_python_that_is_promised() -> None:
    job = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["test"]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    versions = job["strategy"]["matrix"]["python"]
    for name in SETTINGS:
        packaging = (ROOT / "services" / name / "pyproject.toml").read_text(encoding="utf-8")
        promised = tomllib.loads(packaging)["project"]["requires-python"]
        assert promised == f">={versions[0]}"


def test_hooks_are_the_checks_of_the_makefile() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (check,) = re.findall(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    tools = re.findall(r"\$\(BIN\)/(\S+)", check)
    assert [hook.removeprefix(".venv/bin/").split()[0] for hook in hooks] == tools
