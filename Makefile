# `make lab` and `make test` on a machine with Python and make, no root. `make help` lists the rest.
#
# Everything is installed into .venv, which .ci/environment.py makes, mends and keeps: nothing is
# installed twice, and again only when the dependencies in pyproject.toml change.

PYTHON ?= python3
OUT ?= report
JOBS ?= 2
TORCH ?= torch==2.13.0
PEERS ?= mygrad autograd
SECONDS ?= 60
ARGS ?=

BIN := .venv/bin
ENVIRONMENT = @"$(PYTHON)" .ci/environment.py
# One thread of BLAS for each worker: more of them wait for each other longer than they work.
# Compiled files are kept, whatever the shell says of them: a test that starts a process, of which
# there are hundreds, would have every module compiled again there.  A worker that has no tests
# left takes half of the other's, and tests of one file, which share what is slow, stay together.
PYTEST = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	$(BIN)/python -m pytest -q -n $(JOBS) --dist=worksteal $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help lab test test-thorough test-soak test-oracles test-versions check bench docs clean

help: ## list these commands
	@echo "make TARGET [PYTHON=python3.12] [ARGS=...]"
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  %-14s %s\n", $$1, $$2}'

lab: ## train the networks of the lab and write report/index.html (OUT=folder, ARGS=--quick)
	$(ENVIRONMENT) lab
	@$(BIN)/tinygrad-lab report --out "$(OUT)" $(ARGS)
	@echo "The lab's command is $(BIN)/tinygrad-lab: try $(BIN)/tinygrad-lab train xor --plot xor.png"

test: check ## ruff, mypy, import-linter and the whole test suite (JOBS=2, ARGS="-k engine")
	@$(PYTEST)

test-thorough: ## the suite with many more Hypothesis examples, others each time
	$(ENVIRONMENT) test
	@HYPOTHESIS_PROFILE=thorough $(PYTEST)

test-soak: ## kills, interrupts at every line, random calls, long training (SECONDS=60 a trial)
	$(ENVIRONMENT) test
	@SOAK_SECONDS="$(SECONDS)" KILL_EVERY=1 $(PYTEST) tests/soak tests/lab/reports/test_publishing.py

test-oracles: ## compare with PyTorch, SciPy, JAX, autograd, installed for it (TORCH=requirement)
	$(ENVIRONMENT) test "$(TORCH)" scipy jax autograd
	@$(PYTEST) -m oracle

test-versions: ## the suite with every Python here, each with its oldest and newest NumPy
	@"$(PYTHON)" .ci/versions.py -n $(JOBS) $(ARGS)

check: ## ruff, mypy and import-linter alone
	$(ENVIRONMENT) test
	@$(BIN)/python -m ruff check .
	@MYPY_NUM_WORKERS=$(JOBS) $(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-logo

bench: ## time ours beside NumPy and peers (PEERS="torch jax", ARGS="--compare earlier.json")
	$(ENVIRONMENT) lab numba threadpoolctl $(PEERS)
	@$(BIN)/python -m benchmarks $(ARGS)

docs: ## build docs/_build/html; a warning is an error
	$(ENVIRONMENT) docs
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs: docs/_build/html/index.html"

clean: ## remove .venv, .versions and what these commands wrote, the default report folder included
	rm -rf .venv .versions report dist build docs/_build docs/reference/generated
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
