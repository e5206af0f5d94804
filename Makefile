# What a newcomer needs: `make run` (a first rotation on the screen) and `make test` (everything once).
# Needs python3 (3.11 or newer), git, make, and npm for the tests against a real OpenClaw.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
JOBS ?= 3
ARGS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# by file: a file's gateway is started once (pytest 9.2 with xdist 3.8 does not keep xdist_group together)
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

.PHONY: run test lint real soak bench docs lock clean

run: $(VENV)/.installed  ## a rotation from nothing: your deployment, or a sample one (ARGS=--demo forces that)
	$(BIN)/clawsecrets quickstart $(ARGS)

test: lint real  ## lint, types, every kind of test once; what could not run is listed at the end
	$(PYTEST) $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

real: $(VENV)/.installed-dev  ## install what the tests against real components need (npm, pip, apt)
	@$(BIN)/python -m tests.real_components || test -z "$$CLAWSECRETS_REQUIRE_REAL"

soak: $(VENV)/.installed-dev real  ## the full counts; figures go to bench/results/
	@$(PIP) install --quiet -c requirements.lock -e '.[fuzz]' || echo "atheris is not to be had: nothing is fuzzed" >&2
	$(BIN)/python -m bench.soak $(ARGS)

bench: $(VENV)/.installed-dev  ## what we claim about speed; figures go to bench/results/
	$(BIN)/python -m bench.run $(ARGS)

docs: $(VENV)/.installed-dev  ## draw the generated parts of the documents again
	@for file in docs/draw_*.py; do echo "$$file"; $(BIN)/python "$$file" || exit 1; done

lock:  ## refresh requirements.lock from pyproject.toml, in a venv of its own
	$(PYTHON) tests/lock.py > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean:  ## remove what the targets above made (not the npm packages under .cache)
	rm -rf $(VENV) dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.cache/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found (set PYTHON=...)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(VENV)/bin/python
	$(PIP) install --quiet -c requirements.lock -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml requirements.lock | $(VENV)/bin/python
	$(PIP) install --quiet -c requirements.lock -e '.[dev]'
	@touch $@ $(VENV)/.installed
