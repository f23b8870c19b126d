# The five verbs. People, README and .ci/run use the same ones.

.PHONY: install format lint test bench ruff mypy pyright everywhere model model-runs sweep

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= python3
MODEL := tests/actors/test_model.py
# Of two commits in a row, one kills at the points at which the other does not.
COMMITS = $(shell git rev-list --count HEAD 2>/dev/null || echo 0)
# Else each of the hundreds of programs that tests start compiles all that it imports.
export PYTHONDONTWRITEBYTECODE :=
MODEL_OF_RUNS := tests/engine/model

install:  ## an environment with the library, editable, and every tool
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -e '.[dev]'
	$(BIN)/python -m compileall -q actors runtime

format:  ## rewrite the sources as the style has them
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format .

lint: ruff mypy pyright  ## style, then types, twice: mypy and pyright find different mistakes

# Parts of `lint`, so that `make -k lint` shows all that fails.
ruff:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

mypy:
	$(BIN)/mypy

pyright:
	$(BIN)/pyright --pythonpath $(BIN)/python

test:  ## every test, on asyncio, uvloop and trio; those of the actor library also run every branch of it
	$(BIN)/coverage run -m pytest -n 2 tests/actors --ignore=$(MODEL)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report
	$(BIN)/pytest -n 3 $(MODEL) $(MODEL_OF_RUNS)
	$(BIN)/pytest -n 4 --dist worksteal --ignore=tests/actors --ignore=$(MODEL_OF_RUNS)
	$(BIN)/python -m tests.recovery.sweep --every 6 --random 6 --seed $(COMMITS)

everywhere:  ## the tests that `test` runs on one back end each, on all of them
	ACTWRIGHT_TEST_EVERYWHERE=1 $(BIN)/pytest -n 4 -m costly

# A longer look than `test` takes, for who changes the actors. No time limit: what fails is shrunk, and that takes time.
model:  ## 1,000 random histories of actors on each back end, against a model of what is promised
	ACTWRIGHT_MODEL_EXAMPLES=1000 $(BIN)/pytest -o faulthandler_timeout=0 $(MODEL)

# The same for who changes the engine.
model-runs:  ## 1,000 random programs of flows and tasks on each back end: history is as promised after each step
	ACTWRIGHT_MODEL_EXAMPLES=1000 $(BIN)/pytest -o faulthandler_timeout=0 $(MODEL_OF_RUNS)

bench:  ## what everything costs, beside its floor and its budget
	$(BIN)/python benchmarks

# What the project is for, at length; `test` kills at half of all points, each on one back end, another half with each commit.
sweep:  ## a program killed at every point on each back end, at 1,000 random instants, and with its understudy killed first
	$(BIN)/python -m tests.recovery.sweep
