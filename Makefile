# Everything that is installed or downloaded lands in this checkout: .venv, .venv-label-studio, .demo.
# Works with Python 3.11 and 3.12, without Docker, without Redis, with an empty home folder.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=

# The first of these that runs and is a 3.11 or a 3.12; override with `make setup PYTHON=/path/to/python`.
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' >/dev/null 2>&1 \
	&& { command -v $$python; break; }; done)

.PHONY: help setup demo test check bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  Options go in ARGS, for example: make demo ARGS="--auto 120 --exit"'

setup: $(STAMP) ## Install ALE and all its Python packages into .venv (a few minutes, once)

$(STAMP): pyproject.toml constraints.txt
	@[ -n "$(PYTHON)" ] || { echo "ALE needs Python 3.11 or 3.12; none was found. Name one: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "== Installing ALE into $(VENV) with $(PYTHON): about 2 GB, 2 to 5 minutes, only the first time =="
	@# An environment that works is kept, whatever Python comes first on PATH by now: two in one would break it.
	@"$(BIN)/python" -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear "$(VENV)"
	"$(BIN)/python" -m pip install --disable-pip-version-check -c constraints.txt -e '.[all]'
	@# Label Studio's own server library. Its metadata asks for Flask 1.1.2, but it runs with current Flask,
	@# so it is put beside it with --no-deps; colorama is the one thing it imports that nobody else brings.
	"$(BIN)/python" -m pip install --disable-pip-version-check --no-deps label-studio-ml==1.0.9 label-studio-tools==0.0.4 colorama==0.4.6
	@touch "$@"

demo: setup ## Start Label Studio with ALE and a sample project; stop with Ctrl+C (ARGS="--help" lists options)
	@"$(BIN)/ale" demo --home .demo --label-studio-venv .venv-label-studio $(ARGS)

test: setup ## Run all tests, those with a real Label Studio and a real browser included
	@"$(BIN)/python" -m pytest $(ARGS)

check: setup ## Check format, lint and types
	@"$(BIN)/ruff" format --check .
	@"$(BIN)/ruff" check .
	@"$(BIN)/mypy"

bench: setup ## Run the benchmarks (minutes; one of them: ARGS="web_latency --help")
	@"$(BIN)/python" -m benchmarks $(ARGS)

clean: ## Remove what was installed, cached and kept for the demo
	rm -rf "$(VENV)" .venv-mlflow .azurite .azurite.lock .venv-label-studio .venv-label-studio.lock .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
