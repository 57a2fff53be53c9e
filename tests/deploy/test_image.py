"""The Dockerfile installs what the services are made of, and nothing else. It was never built."""

import re
import tomllib

from tests.deploy.files import DEPLOY, ROOT, SETTINGS

DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
MEMBERS = re.findall(r"\./((?:libs|services)/\w+)", DOCKERFILE)


def test_every_service_is_installed_with_what_it_stands_on() -> None:
    services = {f"services/{name}" for name in SETTINGS}
    assert set(MEMBERS) == services | {"libs/contracts", "libs/chassis"}
    assert all((ROOT / member / "pyproject.toml").exists() for member in MEMBERS)


def test_every_copied_path_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for path in re.findall(r"^COPY (\S+) \S+$", DOCKERFILE, re.MULTILINE):
        assert (ROOT / path).exists()
        assert f"!{path}" in ignored


def test_dependencies_come_with_hashes() -> None:
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert re.findall(r"^\S+==", locked, re.MULTILINE)
    removed = re.findall(r"pip uninstall --yes (.+)$", DOCKERFILE, re.MULTILINE)[0].split()
    assert all(re.search(rf"^{name}==", locked, re.MULTILINE) for name in removed)


def test_what_is_removed_is_needed_by_no_service() -> None:
    removed = re.findall(r"pip uninstall --yes (.+)$", DOCKERFILE, re.MULTILINE)[0].split()
    for member in MEMBERS:
        packaging = tomllib.loads((ROOT / member / "pyproject.toml").read_text(encoding="utf-8"))
        needed = " ".join(packaging["project"]["dependencies"])
        assert not any(name in needed for name in removed)


def test_it_runs_as_nobody_on_a_python_that_is_new_enough() -> None:
    (user,) = re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    assert int(user) > 0
    for minor in re.findall(r"^FROM python:3\.(\d+)-slim", DOCKERFILE, re.MULTILINE):
        assert int(minor) >= 11
