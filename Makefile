# make demo   private rounds end to end on this machine
# make test   linters, types and tests
# make audit  attacks on the privacy claim (about a minute)
# Both make .venv first, once.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
SOURCES := mesh_fl tests examples simulations

.PHONY: setup demo audit test test-slow lint format clean

setup: .venv/.ready-for-tests

demo: .venv/.ready
	$(BIN)/mesh-sim demo

audit: .venv/.ready-for-tests
	$(BIN)/mesh-sim audit

# Tests that start processes of their own run one after the other: they have time limits.
test: export PYTHONDONTWRITEBYTECODE = # each process would compile the sources anew
test: .venv/.ready-for-tests lint
	$(BIN)/python -m pytest -q -m "not slow" --numprocesses auto --maxprocesses 4 --dist worksteal --ignore tests/end_to_end
	$(BIN)/python -m pytest -q -m "not slow" tests/end_to_end

test-slow: .venv/.ready-for-tests
	@$(PIP) --editable '.[ray]'
	$(BIN)/python -m pytest -q -m slow

lint: .venv/.ready-for-tests
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy mesh_fl examples simulations

format: .venv/.ready-for-tests
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "mesh_fl needs Python 3.11 or later, found " + sys.version)'
	@echo "setting up .venv (about a minute, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) --editable '.[demo]'
	@touch $@

# torch comes first and alone: asked for by another package, pip would take a build with gigabytes of CUDA.
.venv/.ready-for-tests: .venv/.ready
	@echo "setting up .venv for tests (about a minute, once)"
	@$(PIP) torch==2.13.0
	@$(PIP) --editable '.[demo,torch,text,query,checkpoints,plot,benchmark,schedule,anomaly,prophet,test]'
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
