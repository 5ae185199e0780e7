# Every command a person needs; `make` lists them. The first one that needs it makes .venv.
.DEFAULT_GOAL := help
.PHONY: help setup wordnet run test check format completion peers bench-harvest bench-encyclopedia wheel clean clean-outputs

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

help:  ## this list
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*?## "} {printf "  make %-18s %s\n", $$1, $$2}'

setup: .venv/ready  ## make .venv with the command hsae in it

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "hsae needs Python 3.11 or later; found $$($(PYTHON) --version). Type: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

wordnet: .venv/ready  ## get WordNet 3.0 (11 MB); without it the built-in concepts serve
	@$(BIN)/python -m hsae.concepts.wordnet_data

run: .venv/ready  ## the main job: concepts, activations, SAEs, verdicts, one page
	-@$(MAKE) --no-print-directory wordnet
	@$(BIN)/hsae experiment=quickstart $(ARGS)

test: .venv/ready check  ## everything that must hold: style, types, floors, tests

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto $(ARGS)

format: .venv/ready  ## rewrite the code in the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

completion: .venv/ready  ## how to complete group options with the tab key
	@echo 'eval "$$($(CURDIR)/$(BIN)/hsae -sc install=bash)"'

peers: .venv-peers/ready  ## make .venv-peers with SAELens, dictionary_learning, sparsify and hsae (2.3 GB)

# torchvision comes along with one of them, is used by none, and fits no torch but the one it was built for
.venv-peers/ready: pyproject.toml experiments/benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check \
		--requirement experiments/benchmarks/peers.txt --editable .
	.venv-peers/bin/python -m pip uninstall --quiet --yes torchvision
	@touch $@

bench-harvest: .venv-peers/ready  ## speed and memory of the harvest beside the peers', in one run
	.venv-peers/bin/python -m experiments.benchmarks.harvest --out experiments/benchmarks/harvest/results $(ARGS)

bench-encyclopedia: .venv/ready  ## speed and memory of the encyclopedia beside the bare model, in one run
	$(BIN)/python -m experiments.benchmarks.encyclopedia --out experiments/benchmarks/encyclopedia/results $(ARGS)

wheel: .venv/ready  ## build dist/*.whl and the sdist
	$(BIN)/python -m build

clean-outputs:  ## delete every result
	rm -rf outputs

clean:  ## delete what the other commands made, except results
	rm -rf .venv .venv-peers dist build *.egg-info .pytest_cache .ruff_cache
