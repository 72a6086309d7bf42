# Every target installs its requirements on a fresh machine and is quick the second time. Stamp files record the
# installation; they are out of date when the files change that they depend on.
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

.PHONY: help setup demo load sample nox test compiled mutants simulate lint bench fuzz soak counts docs clean

help: ## print this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 10

setup: $(PYTHON_READY) $(PEERS_READY) $(DEBIAN_READY) ## install the requirements of all targets

demo: setup ## record a real client, replay it without the server, compare, show and load-test it
	$(BIN)/python -m demo

load: setup ## run a 20-second load test on the replay and write a report
	$(BIN)/python -m demo.load

sample: setup ## record the sample in recordings/ again
	$(BIN)/python -m demo.sample

test: setup ## run all tests in parallel and print the slowest; ARGS='tests/unit -m "not node"' runs some
	$(BIN)/python -m pytest -n auto --durations=20 $(ARGS)

ACTIONS ?= 100000
SEED ?=
SOCKETS ?= 0
COMPILED ?=
simulate: $(PYTHON_READY) ## play random runs of the engine in virtual time; ACTIONS=5000000 plays more, SEED=N one, SOCKETS=9 also on servers, COMPILED=1 with the engine of `make compiled`
	$(if $(COMPILED),PYTHONSAFEPATH=1 PYTHONPATH=build/compiled:. )$(BIN)/python -m tests.simulation --actions $(ACTIONS) --sockets $(SOCKETS) $(if $(SEED),--seed $(SEED))

nox: setup ## run the tests on every supported Python and mitmproxy; ARGS="-s base" tests a light installation
	$(BIN)/nox $(ARGS)

compiled: $(PYTHON_READY) ## compile the engine into build/ and run its tests; nothing is installed
	$(BIN)/python -m tests.compiled $(ARGS)

mutants: $(PYTHON_READY) ## plant small faults and count those that the tests notice; ARGS=bayeux runs one package
	$(BIN)/python -m tests.mutants $(ARGS)

lint: $(PYTHON_READY) ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup $(STUBS_READY) ## measure throughput and memory as ratios, and start-up times
	$(BIN)/python -m benchmarks $(ARGS)

fuzz: $(PYTHON_READY) ## check generated inputs of every parser; ARGS='http --inputs 1000000' checks that many
	$(BIN)/python -m tests.fuzzing $(ARGS)

soak: $(PYTHON_READY) ## run a server at half load for an hour and plot its memory and descriptors; ARGS='--minutes 5'
	$(BIN)/python -m benchmarks.soak $(ARGS)

counts: $(PYTHON_READY) ## print names that occur more than once
	$(BIN)/python -m tests.unit.project_rules.sources

docs: setup ## build the documentation as a website, with new screenshots
	$(BIN)/python -m tests.docs.reference
	$(BIN)/python -m tests.golden.parity
	$(BIN)/python -m tests.show.screenshots
	$(BIN)/python -m tests.console.screenshots
	$(BIN)/zensical build --strict --clean
	@echo "file://$(CURDIR)/site/index.html"

clean: ## remove everything installed and built, but no recordings
	rm -rf $(VENV) $(PEERS)/node_modules $(STUBS)/node_modules build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .nox

# Installs a Debian package as root; prints the command for other users.
from_debian = { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "Cometreel needs $(1): install it (apt-get install $(2)) and call make again."; exit 2; }; } && apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qy --no-install-recommends $(2)
# Debian installs programs of services in sbin, which is only on the PATH of root.
program = PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v $(1) >/dev/null || { $(call from_debian,the program $(1),$(2)); }

# Removes the remains of a failed venv, which the next make would take for a complete one.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON); Cometreel needs Python 3.11 or newer. Try: make PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Cometreel needs Python 3.11 or newer; this is $$($(PYTHON) -V). Try: make PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(call from_debian,Python's venv,python3-venv) && $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }; }

$(PYTHON_READY): setup.cfg pyproject.toml | $(BIN)/python
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(DEBIAN_READY): | $(PYTHON_READY)
	@$(call program,haproxy,haproxy)
	@$(call program,chromium,chromium)
	@$(call program,chromedriver,chromium-driver)
	@$(call program,javac,default-jdk-headless)
	@touch $@

# npm is part of Node.js, but a separate package in Debian.
$(PEERS_READY): $(PEERS)/package.json $(PEERS)/package-lock.json
	@$(call program,node,nodejs)
	@$(call program,npm,npm)
	@node -e 'process.exit(Number(process.versions.node.split(".")[0] < 18))' || { echo "Cometreel's third-party peers need Node.js 18 or newer; this is $$(node -v)."; exit 2; }
	cd $(PEERS) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(STUBS_READY): $(STUBS)/package.json $(STUBS)/package-lock.json
	@$(call program,java,default-jre-headless)
	@$(call program,wrk,wrk)
	cd $(STUBS) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
