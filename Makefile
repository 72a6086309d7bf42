# Every target does its own set-up on a fresh machine and is quick the second time: what was installed is
# remembered by stamp files, which are older than what they were made from when that changes.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PEERS  := tests/peers/node
STUBS  := benchmarks/node
SHELL  := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON_READY := $(VENV)/.ready
PEERS_READY  := $(PEERS)/node_modules/.ready
STUBS_READY  := $(STUBS)/node_modules/.ready
DEBIAN_READY := $(VENV)/.debian-ready

.PHONY: help setup demo sample nox test lint bench clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 10

setup: $(PYTHON_READY) $(PEERS_READY) $(DEBIAN_READY) ## install everything that the other targets need

demo: setup ## record a real client, replay it without the server, show that nothing differs
	$(BIN)/python -m demo

sample: setup ## record the sample in recordings/ anew
	$(BIN)/python -m demo.sample

test: setup ## all tests: unit, golden, proxy, peers
	$(BIN)/python -m pytest $(ARGS)

nox: setup ## the tests on every Python and mitmproxy that we promise
	$(BIN)/nox $(ARGS)

lint: $(PYTHON_READY) ## style, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup $(STUBS_READY) ## throughput and memory, as ratios measured in one run
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove what was installed and built, never a recording
	rm -rf $(VENV) $(PEERS)/node_modules $(STUBS)/node_modules build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .nox

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Cometreel needs Python 3.11 or newer; this is $$($(PYTHON) -V). Try: make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV) || { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -qy python3-venv && $(PYTHON) -m venv $(VENV); }

$(PYTHON_READY): setup.cfg pyproject.toml | $(BIN)/python
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# A program that is missing is installed with Debian's package of it, where that may be done; else its name is said.
define debian
for pair in $(1); do \
  command -v "$${pair%%:*}" >/dev/null && continue; package="$${pair##*:}"; \
  if [ "$$(id -u)" != 0 ]; then echo "the program $${pair%%:*} is missing; try: sudo apt-get install $$package"; exit 2; fi; \
  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qy --no-install-recommends "$$package"; \
done
endef

$(DEBIAN_READY): | $(PYTHON_READY)
	@$(call debian,haproxy:haproxy chromium:chromium chromedriver:chromium-driver)
	@touch $@

$(PEERS_READY): $(PEERS)/package.json $(PEERS)/package-lock.json
	@$(call debian,node:nodejs npm:npm)
	cd $(PEERS) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(STUBS_READY): $(STUBS)/package.json $(STUBS)/package-lock.json
	@$(call debian,java:default-jre-headless wrk:wrk)
	cd $(STUBS) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
