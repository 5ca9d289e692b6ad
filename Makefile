# `make profile` and `make test` are all that a newcomer needs; both make the virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests start hundreds of processes of ours: each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE
INSTALLED := $(VENV)/.installed
WORKLOAD ?= scenarios/airline.yaml

.PHONY: profile test test-long fuzz audit wheel lint agents compiled format benchmark soak monitoring-demo schema clean help \
  example-plan

profile: $(INSTALLED)  ## Replay the airline workload on the mock agent and print the profile
	$(BIN)/agent-profiler run $(WORKLOAD)

test: $(INSTALLED)  ## Run the whole test suite, with its coverage floor
	$(MAKE) --jobs=2 lint agents compiled
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --cov

test-long: $(INSTALLED)  ## Run the further forms of system tests that `make test` leaves out
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m long

fuzz: $(INSTALLED)  ## Fuzz all that parses what others send (SECONDS=20 for each target; TARGETS="sse har"...)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz.with_atheris --seconds $(or $(SECONDS),20) $(TARGETS)

audit:  ## Ask the package index for known vulnerabilities of what CI tests with (needs the internet)
	test -x .venv-audit/bin/pip-audit || $(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	# Strict: what could not be looked up is a failure, and not clean.
	.venv-audit/bin/pip-audit --strict --progress-spinner off --vulnerability-service pypi \
	  --disable-pip --no-deps --requirement requirements-dev.lock

wheel: $(INSTALLED)  ## Build the wheel in dist/: the same bytes from the same commit
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m hatchling build -t wheel -d dist
	sha256sum dist/*.whl

lint: $(INSTALLED)  ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

agents: $(INSTALLED)  ## Install the real agent frameworks, which tests run beside us
	-$(BIN)/python -m tests.system.agents.environment .venv-agents .venv-agents-adk

compiled: $(INSTALLED)  ## Compile what tests import, once: else each of pytest's workers does it
	-@$(BIN)/python -m pytest --collect-only -qq > /dev/null

format: $(INSTALLED)  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(INSTALLED)  ## Measure ourselves and the peers that are installed (12 minutes; QUICK=1: two)
	$(BIN)/python -m benchmarks.run_all $(if $(QUICK),--quick)

soak: $(INSTALLED)  ## Run a million interactions against the null server: nothing lost, nothing leaked (minutes)
	$(BIN)/python -m benchmarks.soak $(if $(INTERACTIONS),--interactions $(INTERACTIONS))

monitoring-demo: $(INSTALLED)  ## Overload the mock agent until the rollout's second stage is called for (two minutes)
	$(BIN)/python -m benchmarks.monitoring.demo $(if $(RULES),--rules $(RULES)) $(if $(STAGE),--stage $(STAGE))

schema: $(INSTALLED)  ## Write the committed JSON Schemas anew
	for kind in profile capacity traffic plan review comparison; do \
	  $(BIN)/agent-profiler schema $$kind > docs/schema/$$kind.schema.json || exit 1; done

example-plan: $(INSTALLED)  ## Make the committed example of a plan anew
	$(BIN)/agent-profiler plan --sample > docs/example-plan/demand.yaml
	COLUMNS=100 $(BIN)/agent-profiler plan results/sample --demand docs/example-plan/demand.yaml \
	  --at 2026-11-22 --out docs/example-plan

$(INSTALLED): pyproject.toml requirements-dev.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	# A pip of today takes half the time; and what is imported is compiled then, not all there is.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  $(if $(CI),--constraint requirements-dev.lock) --editable '.[dev]'
	touch $@

clean:  ## Remove what can be made again
	rm -rf $(VENV) .venv-audit dist .fuzz $(VENV)-agents* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage .coverage.*

help:  ## Show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/'
