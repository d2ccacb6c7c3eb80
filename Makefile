# Everything a newcomer types. Needs Python 3.11, git and make; installs the rest into .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help run test test-deps lint format bench studies lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/ready  ## set up, run the pipeline, print the timeline
	python run_pipeline.py

test: $(VENV)/ready test-deps  ## set up and run the tests (at most 10 minutes on two cores)
	python -m pytest --numprocesses 2 --dist loadgroup

lint: $(VENV)/ready  ## ruff, mypy, import-linter
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache

format: $(VENV)/ready  ## let ruff mend style and layout
	ruff check --fix .
	ruff format .

bench: $(VENV)/ready  ## speed of the pipeline and of drift detection, as ratios
	python benchmarks/pipeline.py
	python benchmarks/drift_speed.py

studies: $(VENV)/ready  ## every policy on one history, and on it shuffled (DATA=path of a Cell2Cell CSV; long)
	python scripts/policy_study.py $(if $(DATA),--data $(DATA))

test-deps:  # nothing from Debian is needed yet; later issues add it here

lock: $(VENV)/ready  ## compile requirements.txt from pyproject.toml
	uv pip compile --quiet --python-version 3.11 --all-extras --no-header pyproject.toml --output-file requirements.txt
	printf '%s\n' '-e .' >> requirements.txt

clean:  ## remove the environment and the remembered fits; DVC's cache stays
	rm -rf $(VENV) .cache

# uv installs the lock in seconds where pip takes minutes; pip is only the way in.
$(VENV)/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "$$(grep '^uv==' requirements.txt)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements.txt
	touch $@
