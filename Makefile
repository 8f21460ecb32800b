# Steelyard. `make serve` and `make test` set up all that they need; Python 3.11 or newer and the package index are enough.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8080
DATA ?= steelyard-data
# Most tests wait for a process or a socket: more workers than cores still pay.
WORKERS ?= 4

VENV := .venv
CLIENTS := .venv-clients
STORAGE := .venv-storage
MODELS := .venv-models
GATEWAY := .venv-gateway
# An identity provider that the tests start; it is a program for Node.js, and they are skipped where there is none.
OIDC := .venv-oidc
# Its builds differ by platform, and so do their hashes: it is installed by its version alone, before the rest.
TORCH := torch==2.13.0
UV := $(VENV)/bin/uv

.DEFAULT_GOAL := help
.PHONY: help serve test test-clients test-models test-gateway lint format types bench docs lock clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

serve: $(VENV)/.run ## Run the server (HOST, PORT, DATA)
	$(VENV)/bin/steelyard serve --host $(HOST) --port $(PORT) --data-dir $(DATA)

test: $(VENV)/.dev $(CLIENTS)/.ready $(STORAGE)/.ready $(MODELS)/.ready $(GATEWAY)/.ready $(OIDC)/.ready ## Run all tests, those with the real clients too
	$(VENV)/bin/python -m pytest -m "not alone" -n $(WORKERS) --dist loadfile
	$(VENV)/bin/python -m pytest -m alone
	$(MAKE) test-clients test-models test-gateway

test-clients: $(VENV)/.dev $(CLIENTS)/.ready $(OIDC)/.ready ## Run the tests with the real clients
	STEELYARD_PYTHON=$(VENV)/bin/python $(CLIENTS)/bin/python -m pytest tests/clients

test-models: $(VENV)/.dev $(MODELS)/.ready ## Run the tests that hold inspections against live models of transformers
	STEELYARD_PYTHON=$(VENV)/bin/python PYTHONPATH=src $(MODELS)/bin/python -m pytest tests/models_env
	STEELYARD_PYTHON=$(VENV)/bin/python $(MODELS)/bin/python -m pytest tests/hub_clients

test-gateway: $(VENV)/.dev $(GATEWAY)/.ready $(MODELS)/.ready ## Run the tests of the gateway with the real clients of its dialects, and real engines
	STEELYARD_PYTHON=$(VENV)/bin/python PYTHONPATH=src $(GATEWAY)/bin/python -m pytest tests/gateway_clients
	STEELYARD_PYTHON=$(VENV)/bin/python $(MODELS)/bin/python -m pytest tests/engines

lint: $(VENV)/.dev ## Check style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.dev ## Put the code into its one format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/.dev ## Measure ours beside the peer and the limits (BENCH="--quick" for a short run)
	$(VENV)/bin/python -m bench.registry $(BENCH)
	$(VENV)/bin/python -m bench.history $(filter --quick,$(BENCH))
	$(VENV)/bin/python -m bench.files $(filter --quick,$(BENCH))
	$(VENV)/bin/python -m bench.gateway $(filter --quick --skip-peer,$(BENCH))
	$(VENV)/bin/python -m bench.access $(filter --quick,$(BENCH))

docs: $(VENV)/.dev ## Write again the pages that are made from the code
	$(VENV)/bin/steelyard settings docs > docs/settings.md
	$(VENV)/bin/python -m tests.access.table
	$(VENV)/bin/python -m tests.access.roles_page

lock: $(VENV)/.dev ## Resolve the dependencies anew into requirements/
	$(UV) pip compile pyproject.toml $(LOCK) -o requirements/run.txt
	$(UV) pip compile pyproject.toml --group test --group lint -c requirements/run.txt $(LOCK) -o requirements/dev.txt
	$(UV) pip compile --group clients $(LOCK) -o requirements/clients.txt
	$(UV) pip compile --group storage $(LOCK) -o requirements/storage.txt
	echo torch | $(UV) pip compile --group models --excludes /dev/stdin $(LOCK) -o requirements/models.txt
	$(UV) pip compile --group gateway $(LOCK) -o requirements/gateway.txt

LOCK := --strip-extras --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --upgrade

clean: ## Remove the environments and caches (never data)
	rm -rf $(VENV) $(CLIENTS) $(STORAGE) $(MODELS) $(GATEWAY) $(OIDC) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

# The environment of the product alone; the stamp is newer than what it was made from.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements/run.txt -c requirements/run.txt
	$(VENV)/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements/dev.txt -c requirements/dev.txt
	@touch $@

$(CLIENTS)/.ready: requirements/clients.txt
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --require-hashes -r requirements/clients.txt -c requirements/clients.txt
	@touch $@

$(STORAGE)/.ready: requirements/storage.txt
	$(PYTHON) -m venv $(STORAGE)
	$(STORAGE)/bin/python -m pip install --quiet --require-hashes -r requirements/storage.txt -c requirements/storage.txt
	@touch $@

$(MODELS)/.ready: requirements/models.txt
	$(PYTHON) -m venv $(MODELS)
	$(MODELS)/bin/python -m pip install --quiet $(TORCH)
	$(MODELS)/bin/python -m pip install --quiet --require-hashes -r requirements/models.txt -c requirements/models.txt
	@touch $@

$(GATEWAY)/.ready: requirements/gateway.txt
	$(PYTHON) -m venv $(GATEWAY)
	$(GATEWAY)/bin/python -m pip install --quiet --require-hashes -r requirements/gateway.txt -c requirements/gateway.txt
	@touch $@

$(OIDC)/.ready: tests/oidc/package.json tests/oidc/package-lock.json
	@mkdir -p $(OIDC) && cp tests/oidc/package.json tests/oidc/package-lock.json $(OIDC)/
	@if command -v npm >/dev/null; then npm ci --prefix $(OIDC) --ignore-scripts --no-audit --no-fund --silent; \
	else echo "no npm here: tests with an identity provider are skipped"; fi
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Steelyard needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
