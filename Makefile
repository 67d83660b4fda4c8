PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.installed

.PHONY: quickstart test families soak check lint format types imports schema docs dist clean
.DEFAULT_GOAL := help

help:
	@echo "make quickstart   set up, fit on the embedded example, evaluate, write the report"
	@echo "make test         set up, every test"
	@echo "make families     set up, EdgeTAM, whose packages lie in a folder of their own: build/families"
	@echo "make soak         the fault suite with its full counts; writes the table of docs/faults.md"
	@echo "make dist         wheel and source archive, with their sha256"
	@echo "make check        set up, lint + types + import rules + fast tests"
	@echo "make docs         set up, the documentation as a site: build/docs/index.html"

$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

quickstart: $(SETUP)
	$(BIN)/python -m adapt fit --recipe quickstart

test: $(SETUP)
	$(BIN)/python -m pytest -n auto --dist worksteal

families: $(SETUP)
	$(BIN)/python -m pip install --quiet --upgrade --no-deps --target build/families -c constraints.txt timm torchvision
	PYTHONPATH=$(CURDIR)/build/families:$(CURDIR)/tests $(BIN)/python -m pytest -n auto --dist worksteal -p torchvision_on_cpu \
	  tests/segmenters tests/hub tests/semantic/test_classes_of_families.py \
	  -k "edgetam or processor" --junitxml=build/families.xml

soak: $(SETUP)
	ADAPT_SOAK=1 $(BIN)/python -m pytest tests/faults tests/distributed/test_two_processes.py

check: lint types imports
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

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
	$(BIN)/python -m adapt recipes keys > docs/recipe-keys.md

docs: $(SETUP)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

dist: $(SETUP)
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	cd dist && sha256sum *

clean:
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
