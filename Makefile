# Conclave: `make demo` sets up and runs everything; `make test` sets up and passes the tests. Needs Python 3.11 and make.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: setup demo test test-containers images image-table lint format coverage bench conformance soak fuzz venues-table features-table council-figures bench-peers lock clean help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.conclave-stamp
LOCK_HASH := $(shell cat requirements.lock pyproject.toml 2>/dev/null | cksum | tr ' ' '-')
UV_VERSION := 0.13.8
# uv does not read PIP_FIND_LINKS; it must, so that torch is the CPU build where a folder of wheels is given.
FIND_LINKS := $(foreach link,$(PIP_FIND_LINKS),--find-links $(link))

help:
	@echo "make demo [MINUTES=2] [ORDERS=venue|paper] [DATA=PATH] [SPEED=1]   run the whole house, simulated money"
	@echo "make test                                     the tests"
	@echo "make conformance [ONLY=name]                  other people's clients against the simulator"
	@echo "make soak [SEED=17] [VENUE=binance] [RUNS=200] seeded runs of orders under random faults"
	@echo "make fuzz [FRAMES=1000000] [SEED=1]           spoiled frames into every parser of the venues' messages"
	@echo "make venues-table                             every acceptance case at every venue, into docs/venues.md"
	@echo "make features-table                           every feature and every oracle, into docs/features.md"
	@echo "make council-figures [SET='BTC 1h'] [AGENTS=a,b] walk-forward of the council, into docs/council.md"
	@echo "make images                                   every container image"
	@echo "make image-table                              their sizes and start times, beside a compose stack that is up"
	@echo "make test-containers                          kill every container of a compose stack; needs Docker, takes minutes"
	@echo "make lint | coverage | bench [ONLY=name]      quality gates and measurements"

setup:
	@if [ -x $(BIN)/python ] && [ "$$(cat $(STAMP) 2>/dev/null)" = "$(LOCK_HASH)" ]; then exit 0; fi; \
	set -e; \
	py="$$(command -v $(PYTHON) || command -v python3)" || { echo "setup: Python 3.11 is missing; install it, or give make PYTHON=/path/to/python3.11"; exit 1; }; \
	"$$py" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "setup: $$py is not Python 3.11; install it, or give make PYTHON=/path/to/python3.11"; exit 1; }; \
	echo "setup: making $(VENV)"; \
	"$$py" -m venv $(VENV); \
	if $(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION) \
	   && $(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode $(FIND_LINKS) -r requirements.lock \
	   && $(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .; then :; \
	else \
	  echo "setup: uv failed, falling back to pip"; \
	  $(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.lock; \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi; \
	echo "setup: compiling kernels"; \
	$(BIN)/python -m libs.core.warm; \
	echo "$(LOCK_HASH)" > $(STAMP); \
	echo "setup: done"

DEMO_ARGS := $(if $(MINUTES),--minutes $(MINUTES)) $(if $(ORDERS),--orders $(ORDERS)) $(if $(DATA),--data $(DATA)) $(if $(SPEED),--speed $(SPEED)) $(if $(SEED),--seed $(SEED))
demo: setup
	@$(BIN)/python cli.py demo $(DEMO_ARGS)

test: setup
	@$(BIN)/python -m pytest -n 2 --dist loadgroup tests

test-containers: setup
	@CONTAINERS=1 $(BIN)/python -m pytest -n 0 -rs --durations=0 tests/integration/containers tests/integration/store

images:
	@VENUE_ENDPOINT=simulator docker compose --profile cli build

image-table:
	@set -a; [ ! -f .env ] || . ./.env; python3 deploy/docker/image_table.py --write docs/deployment.md

lint: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# Kernels run as plain Python here, so that their lines count.
coverage: setup
	@rm -f .coverage .coverage.*
	@NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n 2 --dist loadgroup --cov=libs --cov-report= tests/unit tests/property tests/contract tests/integration
	@$(BIN)/coverage report --include='libs/common/*' --fail-under=80
	@$(BIN)/coverage report --include='libs/core/*' --fail-under=90

bench:
	@$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY))

bench-peers:
	@$(BIN)/python -m tests.bench --peers

# The only target that fetches packages which are not in the lock: clients of others, each in a place of its own.
conformance: setup
	@$(BIN)/python -m tests.conformance $(if $(ONLY),--only $(ONLY))

soak:
	@$(BIN)/python -m tests.soak $(if $(SEED),--seed $(SEED)) $(if $(VENUE),--venue $(VENUE)) $(if $(RUNS),--runs $(RUNS)) $(if $(FIRST),--first $(FIRST))

fuzz:
	@$(BIN)/python -m tests.fuzz $(if $(FRAMES),--frames $(FRAMES)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)')

venues-table:
	@$(BIN)/python -m tests.acceptance

features-table:
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.unit.features.oracles.table

# From minutes to an hour a set; one thread, niced.
council-figures:
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.council_figures $(if $(SET),--set "$(SET)") $(if $(AGENTS),--agents $(AGENTS))

lock:
	@$(BIN)/uv pip compile -q --all-extras --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links --upgrade $(FIND_LINKS) pyproject.toml -o requirements.lock
	@sed -i 's/+cpu$$//' requirements.lock

clean:
	@rm -rf $(VENV) var build *.egg-info
