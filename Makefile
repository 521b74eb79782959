# Daybook. `make` alone lists the targets; `make day` and `make test` do all their set-up on a fresh machine.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3.11
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
# Set-up is done once and redone only when the lock, the torch build or the package definition changes.
STAMP := $(VENV)/.ready-$(shell cat requirements.lock pyproject.toml <(echo $(TORCH)) 2>/dev/null | sha256sum | cut -c1-12)
DAY_ARGS ?=
TESTS ?= tests notebooks
PYTEST_ARGS ?=

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the environment in .venv (once)

$(STAMP):
	@command -v $(PYTHON) >/dev/null || { \
	  echo "setup: $(PYTHON) was not found. Install Python 3.11, or name it: make setup PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || { \
	  echo "setup: $(PYTHON) is $$($(PYTHON) --version); Daybook runs on 3.11 (3.12 is tested too)."; exit 1; }
	@rm -f $(VENV)/.ready-*
	@echo "setup 1/4: virtual environment"; $(PYTHON) -m venv $(VENV)
	@echo "setup 2/4: $(TORCH)"; $(BIN)/pip install -q --disable-pip-version-check $(TORCH) $(QUIET) || { \
	  echo "setup: installing $(TORCH) failed. Check the network and the package index, then run make setup again."; exit 1; }
	@echo "setup 3/4: locked packages (a minute or two)"
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock $(QUIET) || { \
	  echo "setup: installing requirements.lock failed. Check the network and the disk, then run make setup again."; exit 1; }
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/pip check
	@echo "setup 4/4: compiling kernels"; $(BIN)/python -m compileall -q lib && $(BIN)/python -m daybook.pipeline.warm
	@touch $@

day: setup ## run one research day on the built-in market; ends with the report's path
	@$(BIN)/python run_daily.py $(DAY_ARGS)

test: setup lint ## lint, types, layers and every test
	@$(BIN)/python -m pytest -n 2 --dist loadfile --nbmake --nbmake-timeout=600 $(PYTEST_ARGS) $(TESTS)

lint: setup ## ruff, mypy, layers, bandit, notebooks without outputs, no secrets
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit -q -r lib run_daily.py -c pyproject.toml
	@$(BIN)/python tools/repository_checks.py
	@$(BIN)/python tools/environment_file.py

test-faults: setup ## kill a day at 20 random moments and resume it
	@KILLS=20 $(BIN)/python -m pytest tests/end_to_end/test_kill_and_resume.py

test-science: setup ## walk 30 days of noise and a planted edge, play 60 tournaments where the truth is known
	@SCIENCE_DAYS=30 $(BIN)/python -m pytest -n 2 tests/science

lab: setup ## open JupyterLab on the notebooks
	@$(BIN)/jupyter lab notebooks

bench: setup ## measure backtests, features and stores beside their peers (half an hour)
	-@$(BIN)/python bench/backtest_bench.py
	@$(BIN)/python bench/growth_bench.py
	@$(BIN)/python bench/features_bench.py
	@$(BIN)/python bench/storage_bench.py
	@$(BIN)/python bench/scale_out_bench.py

peers: setup ## measure backtests alone beside vectorbt, backtesting.py and a C loop, and tell which targets are met
	@$(BIN)/python bench/backtest_bench.py

lock: setup ## resolve requirements.in anew into requirements.lock and environment.yml (needs the package index)
	@$(BIN)/pip install -q uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.lock
	@$(BIN)/python tools/environment_file.py --write

clean: ## remove the environment and every cache (data/ and runs/ stay)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build lib/*.egg-info
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

.PHONY: help setup day test test-faults test-science lint lab bench peers lock clean
