# Needs Python 3.10 or newer with venv; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
# Processes that share the tests; each computes with one thread, and waits much for what it starts.
WORKERS ?= 3
# What breaks first: laws of bijections, networks, synthesis and streams, mels, imports.
QUICK := bijections/test_laws.py nets/test_nets.py nets/test_forms.py inference/test_stream.py \
	audio/test_mel.py test_flow.py test_vocoder.py test_imports.py

# Many processes import the same: each shall find what another one has compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-quick smoke lint docs fuzz load screenshots clean

demo: .venv/installed
	$(BIN)/python recipes/demo.py data/clips --out out

test: .venv/installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# The first minute of feedback.
test-quick: .venv/installed
	$(BIN)/python -m pytest -n $(WORKERS) $(addprefix tests/,$(QUICK)) -k "not compiled and not memory"

smoke: .venv/installed
	recipes/ljspeech/train.sh --smoke

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python docs/typed.py
	$(BIN)/mypy

# Hostile files for every reader; FUZZ_EXAMPLES=20000 takes ten times as long.
fuzz: .venv/installed
	FUZZ_PROFILE=full $(BIN)/python -m pytest tests/fuzz

docs: .venv/installed
	$(BIN)/python -m sphinx -E -W --keep-going -n -q -b html docs out/docs

load: .venv/installed
	$(BIN)/python benchmarks/load.py --users 50 --seconds 120

screenshots: .venv/installed
	$(BIN)/python tests/demo/screenshots.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	-$(BIN)/python -m compileall -qq -j 0 .venv/lib  # on all cores, where pip takes one
	touch $@

clean:
	rm -rf .venv out
