# Needs Python 3.10 or newer with venv; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
# Processes that share the tests; each computes with one thread.
WORKERS ?= 2

.PHONY: demo test smoke lint clean

demo: .venv/installed
	$(BIN)/python recipes/demo.py data/clips --out out

test: .venv/installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

smoke: .venv/installed
	recipes/ljspeech/train.sh --smoke

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv out
