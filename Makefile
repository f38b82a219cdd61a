# The project's commands; `.ci/run` and people call the same targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: setup demo test lint types docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,ray,html,unigram,bleu,dev]'
	$(BIN)/python -m compileall -q corpuskit
	@touch $@

demo: setup
	@$(BIN)/corpuskit --verbose run pipelines/demo.toml --workers 2 --overwrite
	@$(BIN)/corpuskit show data/demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

test: lint types
	$(BIN)/pytest -n auto

docs: setup
	$(BIN)/python -m corpuskit.reference > docs/stages.md

clean:
	rm -rf $(VENV) data/demo
