# Spotkeeper's few commands. Each target says in one line what it is for.

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,\
  $(shell $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
MEMBERS := libs/contracts libs/chassis services/gateway services/registry services/heartbeat services/decision services/commands agent cli
EDITABLE := $(foreach member,$(MEMBERS),-e ./$(member))
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python

.PHONY: help setup up test check bench docs lock
.DEFAULT_GOAL := help

help: ## Show the targets.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-7s %s\n", $$1, $$2}'

setup: $(VENV)/dev.stamp ## Install everything that checks, tests and benchmarks need.

up: $(VENV)/run.stamp ## Start Kafka, PostgreSQL, the services and a simulated fleet (ARGS="--help" for more).
	@exec $(BIN)/spotkeeper up $(ARGS)

test: check ## Run all checks and all tests.
	@$(BIN)/pytest --ignore=tests/test_tidy.py $(ARGS)

check: setup ## Run the checks alone: format, lint, types, import rules, tidiness.
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pytest -q --no-header tests/test_tidy.py

bench: setup ## Measure against the baselines, in one run each, and print the ratios.
	@$(BIN)/python -m benchmarks $(ARGS)

docs: setup ## Write anew what is generated: schemas, examples, AsyncAPI, OpenAPI, metrics, settings.
	@$(BIN)/python -m spotkeeper_contracts generate
	@$(BIN)/python -m gateway openapi > docs/openapi.json
	@$(BIN)/python -m spotkeeper.reference docs

lock: $(VENV)/run.stamp ## Resolve the dependencies anew, Python's and Kafka's.
	@for name in requirements requirements-dev; do \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
	    --no-header --python-version 3.11 $$name.in -o $$name.lock; done
	@$(BIN)/python -m spotkeeper.embedded.relock

$(VENV)/uv.stamp:
	@echo "· making the environment in $(VENV)" >&2
	@test -n "$(PYTHON)" \
	  || { echo "Spotkeeper needs Python 3.11 or later; set PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/run.stamp: requirements.lock $(VENV)/uv.stamp $(MEMBERS:=/pyproject.toml)
	@echo "· installing what the services need" >&2
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation $(EDITABLE)
	@$(BIN)/python -m compileall -q $(MEMBERS)
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	@echo "· installing what checks and tests need" >&2
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@
