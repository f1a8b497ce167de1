# Two commands from nothing: `make demo` and `make test`. Each needs only make and Python 3.11 or newer.
#
#   PYTHON=python3.12   the interpreter to start from
#   VENV=.venv          the environment to make
#   PIP_FLAGS=...       e.g. an index with the CPU build of torch
#   CONSTRAINTS=...     constraints-lowest.txt for the oldest versions that are supported, in another VENV
#   ARGS=...            arguments for pytest

PYTHON ?= python3
VENV ?= .venv
PIP_FLAGS ?=
CONSTRAINTS ?= constraints.txt
ARGS ?=

START := $(shell date +%s)
TOOK = echo "make $@: $$(( $$(date +%s) - $(START) )) s"
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint $(CONSTRAINTS) $(PIP_FLAGS)

.PHONY: help demo test integrations lint format clean

help:  ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/make \1  \2/p' Makefile

demo: $(VENV)/.package  ## Install gradscope into .venv, train a broken example, print the diagnosis
	@$(BIN)/gradscope demo
	@$(TOOK)

test: $(VENV)/.tools  ## Pass all tests
	@$(BIN)/python -m pytest -n auto $(ARGS)
	@$(TOOK)

integrations: $(VENV)/.integrations  ## Pass the tests against real trackers, trainers and architectures (heavy)
	@$(BIN)/python -m pytest -n auto tests/integrations tests/test_zoo.py $(ARGS)
	@$(TOOK)

lint: $(VENV)/.tools  ## Lint, check the format and the types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(TOOK)

format: $(VENV)/.tools  ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## Remove the environment
	rm -rf $(VENV)

# torch first and pinned: whatever comes later then finds it there instead of fetching a newer one
$(VENV)/.package: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "gradscope needs Python 3.11 or newer, and '$(PYTHON)' is not: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "'$(PYTHON)' has no venv; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "installing torch into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) torch
	@echo "installing gradscope ..."
	@$(INSTALL) hatchling editables
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/.tools: $(VENV)/.package
	@echo "installing what the tests need ..."
	@$(INSTALL) --no-build-isolation --editable '.[test,lint]'
	@touch $@

$(VENV)/.integrations: $(VENV)/.tools
	@echo "installing trackers and trainers ..."
	@$(INSTALL) --no-build-isolation --editable '.[integrations]'
	@touch $@
