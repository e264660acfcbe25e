# Each target sets up what it needs, on a machine with git, make and Python 3.11 or newer.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint check other-pythons bench venv venv-dev tools clean clean-venv

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# the versions that unit and integration tests must pass on
PYTHONS := 3.11 3.13
# the tools that were fetched for the tests come first, then those of the environment
WITH_TOOLS = PATH="$(CURDIR)/.tools/bin:$(CURDIR)/$(BIN):$$PATH"

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

demo: venv ## a small run from start to end: offline, no key, no tracker
	@$(BIN)/maestro demo

test: venv-dev tools ## all tests; names each real component that could not be tried (ARGS="-k words")
	@$(BIN)/python -m compileall -q maestro
	@$(WITH_TOOLS) $(BIN)/python -m pytest -n auto $(ARGS)

lint: venv-dev ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint other-pythons test ## lint, all tests, and unit and integration tests on 3.11 and 3.13

other-pythons: venv-dev # whose tests need no real agent and no beads
	@$(WITH_TOOLS) scripts/test_other_pythons.sh $(BIN)/python $(PYTHONS)

bench: venv ## overhead side by side, latency, planning, isolation (ARGS="--tasks 20 --rounds 1" for overhead)
	$(BIN)/python benchmarks/overhead.py $(ARGS)
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/planning.py
	$(BIN)/python benchmarks/isolation.py

venv:
	@scripts/set_up_venv.sh $(VENV) plain

venv-dev:
	@scripts/set_up_venv.sh $(VENV) dev

tools: ## the real agents, beads and compose for the tests, as far as this machine can have them
	@scripts/install_agents.sh
	@PATH="$$PATH:/usr/local/go/bin" scripts/install_bd.sh
	@PATH="$$PATH:/usr/local/go/bin" scripts/install_compose.sh

clean: ## what tests and builds leave
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
	find maestro tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +

clean-venv: ## the virtual environments and the tools fetched for the tests
	rm -rf $(VENV) $(addprefix .venv-,$(PYTHONS)) .tools
