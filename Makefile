# What people run, and what CI runs.  `make` prints this list.

PYTHON_IN_VENV := .venv/bin/python
# Options for those that people pass some to: make run SERVE="--port 5001", make test TESTS="tests/oci -k range"
SERVE ?=
TESTS ?=
# Processes that share the tests.
TEST_WORKERS ?= auto
SOAK ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format generated lock fuzz compat conformance clients bench soak check-readme clean

help:  ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup:  ## Make .venv with everything that is needed here (quick when nothing changed)
	@scripts/setup

run:  ## Start a registry on localhost:5000, in ./roadstead-data
	@scripts/setup runtime
	@exec .venv/bin/roadstead serve $(SERVE)

test: setup  ## Run the tests
	$(PYTHON_IN_VENV) -m pytest -n $(TEST_WORKERS) -m "not client and not slow" $(TESTS)

lint: setup  ## Check style, types, layers and generated files
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTHON_IN_VENV) scripts/generate --check

format: setup  ## Format the code, and mend what can be mended by itself
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

generated: setup  ## Write the files that are made from the source
	$(PYTHON_IN_VENV) scripts/generate

lock: setup  ## Pin the dependencies of pyproject.toml again (LOCK=--upgrade: the newest ones)
	scripts/lock $(LOCK)

fuzz: setup  ## Feed random input to the parsers for FUZZ_SECONDS (an hour)
	scripts/fuzz

compat: setup  ## Drive the admin API with Harbor's clients, and with COMPAT_EXAMPLES random requests (200 an operation)
	COMPAT_EXAMPLES=$${COMPAT_EXAMPLES:-200} $(PYTHON_IN_VENV) -m pytest tests/compat $(TESTS)

conformance: setup  ## Run the OCI distribution conformance suite
	scripts/conformance

clients: setup  ## Push and pull with real clients
	$(PYTHON_IN_VENV) -m pytest -m client tests/clients $(TESTS)

bench: setup  ## Measure, against other registries where they are installed
	$(PYTHON_IN_VENV) -m benchmarks

soak: setup  ## Kill and restart a busy registry for a long time
	scripts/soak $(SOAK)

check-readme:  ## Do what README.md says, in a fresh clone
	scripts/check-readme

clean:  ## Remove what was made here, except roadstead-data
	rm -rf .venv .test dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
