# Everything sets itself up from nothing: a virtual environment in .venv, with what requirements.lock pins.
# The commands for people are demo, up, bank, test, check, bench, bench-peers and faults; `make help` lists them.

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
# Two for each core of a small machine: half of the tests wait for a timer or a process at any time.
RUNNERS ?= 4
# What one process has compiled, the next one need not: a clean clone starts a hundred of them.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo up bank test tests check format bench bench-peers faults lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: .venv/installed ## the virtual environment in .venv

.venv/installed: requirements.lock
	@echo "Installing into .venv (about half a minute, once) ..."
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, not " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@touch $@

demo: install ## the story: money survives lost answers, killed workers and fifty retries
	@$(PY) starter.py demo

up: install ## an embedded Temporal server and a worker, until Ctrl-C
	@$(PY) worker.py --embedded

bank: install ## a simulated bank that pays out, with faults on request, until Ctrl-C
	@$(PY) -m rails.simulated_bank

test: install ## every check, and beside them every test
	@$(MAKE) --no-print-directory --jobs 2 check tests

tests: install
	@$(BIN)/pytest --numprocesses $(RUNNERS) --dist worksteal --ignore tests/test_tidy.py $(TESTS)

check: install ## format, lint, types, and the shape of the code
	@$(BIN)/ruff format --check --quiet . || { echo "Run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy .
	@$(BIN)/pytest tests/test_tidy.py

format: install ## put the code into its format
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

bench: install ## how fast, against what: medians and ratios of one run
	@$(PY) -m bench

bench-peers: install ## the same work by DBOS, Restate and the floors, side by side
	@$(PY) -m bench.peers

faults: install ## break it every way there is, and show that nothing was lost or doubled
	@$(PY) -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(SOAK),--soak $(SOAK) --part storm) $(if $(EVERY),--every-case)

lock: ## pin the newest versions of everything (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade \
		--all-extras pyproject.toml --output-file requirements.lock
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--constraint requirements.lock pyproject.toml --output-file requirements-worker.lock
	@echo localstripe | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		- --output-file tests/rails/localstripe.lock
	@for peer in dbos restate; do uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --upgrade bench/peers/$$peer.in --output-file bench/peers/$$peer.lock; done

clean: ## remove the virtual environment and the data folder
	@rm -rf .venv .peers var
