# Each target sets up what it needs: a machine with python3, pip and make is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Threads that wait actively slow torch down several times as soon as anything else runs.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help report lab test check bench realdata
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# Without ensurepip: Debian packs it apart from python3, and pip installs into another environment.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --disable-pip-version-check --quiet \
	    --constraint constraints.txt --editable '.[dev]'
	@touch $@

report: $(STAMP)  ## run the notebooks on embedded data; ends with the path of an HTML report
	$(BIN)/kit report

lab: $(STAMP)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=.

test: $(STAMP)  ## every test that needs no real data
	$(BIN)/python -m pytest

check: $(STAMP)  ## formatter, linter, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMP)  ## speed and memory, as ratios against a named reference
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

realdata: $(STAMP)  ## the tests on real data: KIT_DATA=/path/to/data make realdata
	@test -n "$(KIT_DATA)" || { echo "make realdata: set KIT_DATA to the folder that holds flickr8k/ and its neighbours"; exit 2; }
	KIT_DATA="$(KIT_DATA)" $(BIN)/python -m pytest -m realdata
