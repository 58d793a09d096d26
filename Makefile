# Everything below works in a virtual environment of its own, made on first use.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.DEFAULT_GOAL := help
.PHONY: help run test lint clean first-results tiny-clip

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) .
	touch $@

.venv/installed-test: .venv/installed
	$(INSTALL) .[test]
	touch $@

.venv/installed-lint: .venv/installed
	$(INSTALL) .[lint]
	touch $@

run: .venv/installed  ## the default benchmark: real handwritten digits, 5 tasks, about a minute
	$(BIN)/python run.py

test: .venv/installed-test  ## the whole test suite
	$(BIN)/python -m pytest

lint: .venv/installed-lint  ## ruff, and mypy (strict on mergers, evaluation and store)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

first-results: .venv/installed  ## docs/first_results.md: 4 scenarios, 9 methods, 5 seeds (about 15 minutes)
	$(BIN)/python run.py -m +sweep=first_results_classes
	$(BIN)/python run.py -m +sweep=first_results_domains
	$(BIN)/python run.py -m +sweep=first_results_datasets
	$(BIN)/python -m cl_bench.reports.first_results multirun/first_results docs/first_results.md

tiny-clip: .venv/installed  ## pre-train the embedded model anew (about 6 minutes)
	$(BIN)/python -m cl_bench.backbones.tiny_clip

clean:  ## remove the environment, outputs, stored streams and caches
	rm -rf .venv outputs multirun store build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
