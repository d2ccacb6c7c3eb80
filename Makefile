# Everything a newcomer types. Needs Python 3.11, git and make; installs the rest into .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help run serve test test-long test-deps lint format ui s3 doctor notebooks bench studies lock clean \
	lambda aws-local aws-plan aws-deploy aws-destroy

# What the tests need from Debian: a browser, a database server, and what judges the unit of deploy/.
DEBIAN := chromium postgresql systemd

WORKERS := --numprocesses 3 --dist loadfile --no-loadscope-reorder

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/ready  ## set up, run the pipeline, print the timeline
	python run_pipeline.py

serve: $(VENV)/ready  ## the champion over HTTP (http://127.0.0.1:8080)
	python serve-model.py

test: $(VENV)/ready test-deps  ## set up, run the tests (at most 10 minutes on two cores)
	python -m pytest -m 'not long' $(WORKERS)

test-long: $(VENV)/ready test-deps  ## the tests that kill, wait and simulate for minutes
	python -m pytest -m long $(WORKERS)

lint: $(VENV)/ready  ## ruff, mypy, import-linter
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache

ui: $(VENV)/ready  ## MLflow's page: runs, metrics, models (http://127.0.0.1:5000)
	MLFLOW_DISABLE_TELEMETRY=true mlflow ui --port 5000

s3: $(VENV)/ready  ## an S3 server on this machine, to try the remote with
	python scripts/s3_server.py

doctor: $(VENV)/ready  ## what is wrong with this machine's set-up
	churn-drift doctor

lambda: $(VENV)/ready  ## dist/lambda.zip, the look at arriving batches
	python scripts/build_lambda.py

aws-local: $(VENV)/ready lambda  ## the AWS mode on this machine, against an emulator
	python scripts/aws_local.py

aws-plan: $(VENV)/ready lambda  ## what the AWS mode would make in your account
	python scripts/aws_stack.py plan

aws-deploy: $(VENV)/ready lambda  ## make it, after asking
	python scripts/aws_stack.py deploy

aws-destroy: $(VENV)/ready  ## take it away, after asking; the bucket stays
	python scripts/aws_stack.py destroy

format: $(VENV)/ready  ## let ruff mend style and layout
	ruff check --fix .
	ruff format .

notebooks: $(VENV)/ready  ## four notebooks on the run, as pages: reports/notebooks
	python scripts/notebooks.py

bench: $(VENV)/ready  ## speed of everything that should be fast, as ratios
	python benchmarks/pipeline.py
	python benchmarks/drift_speed.py
	python benchmarks/versions.py
	python benchmarks/publish.py
	python benchmarks/row.py
	python benchmarks/capture.py
	python benchmarks/serving.py
	python benchmarks/peers.py
	python benchmarks/transfer.py

studies: $(VENV)/ready  ## every policy on one history (DATA=Cell2Cell CSV; long)
	python scripts/policy_study.py $(if $(DATA),--data $(DATA))

test-deps:
	@missing=$$(for name in $(DEBIAN); do dpkg -s $$name >/dev/null 2>&1 || printf '%s ' $$name; done); \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	else echo "the tests need Debian's $$missing: sudo apt-get install --no-install-recommends $$missing"; fi

lock: $(VENV)/ready  ## compile requirements.txt from pyproject.toml
	uv pip compile --quiet --python-version 3.11 --all-extras --no-header pyproject.toml --output-file requirements.txt
	uv pip compile --quiet --python-version 3.11 --no-annotate --no-header --constraint requirements.txt deploy/requirements.in \
		--output-file deploy/requirements.txt
	printf '%s\n' '-e .' >> requirements.txt

clean:  ## remove .venv and the remembered fits; DVC's cache stays
	rm -rf $(VENV) .cache

# uv installs the lock in seconds where pip takes minutes; pip is only the way in.
$(VENV)/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "$$(grep '^uv==' requirements.txt)"
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement requirements.txt
	touch $@
