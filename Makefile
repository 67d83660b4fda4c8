PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.installed

.PHONY: quickstart test soak check lint format types imports schema clean
.DEFAULT_GOAL := help

help:
	@echo "make quickstart   set up, fit on the embedded example, evaluate, write the report"
	@echo "make test         set up, every test"
	@echo "make soak         the fault suite with its full counts"
	@echo "make check        set up, lint + types + import rules + fast tests"

$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

quickstart: $(SETUP)
	$(BIN)/python -m adapt fit --recipe quickstart

test: $(SETUP)
	$(BIN)/python -m pytest -n auto

soak: $(SETUP)
	ADAPT_SOAK=1 $(BIN)/python -m pytest tests/faults

check: lint types imports
	$(BIN)/python -m pytest -n auto -m "not slow"

lint: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(SETUP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(SETUP)
	$(BIN)/mypy

imports: $(SETUP)
	$(BIN)/lint-imports

schema: $(SETUP)
	$(BIN)/python -m adapt recipes schema > recipes/schema.json

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
