# `make demo` needs Python 3.11 to 3.13 and make; `make test` is what CI runs. Both set themselves up.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
RUNTIME := $(VENV)/.installed-runtime
TESTING := $(VENV)/.installed-test
FUZZING := $(VENV)/.installed-fuzz
SECONDS ?= 60
SCALE ?= 1.0
BENCHMARKS = $(filter-out __init__ report past,$(basename $(notdir $(wildcard benchmarks/*.py))))

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-pair test lint provision bench crashes week faults fuzz laws capacity docs site package lock clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

setup: $(RUNTIME) ## the environment in .venv, with the locked packages

demo: $(RUNTIME) ## a call centre in one terminal; DURATION=60 JSON=out.json runs it without one
	@$(BIN)/dialer demo $(if $(DURATION),--duration $(DURATION)) $(if $(JSON),--json $(JSON))

demo-pair: $(RUNTIME) ## two engines and two switches, to kill any of them; DURATION=60 JSON=out.json as above
	@$(BIN)/dialer demo-pair $(if $(DURATION),--duration $(DURATION)) $(if $(JSON),--json $(JSON))

test: lint provision ## everything CI runs: lint, types, import contracts, all tests (ARGS= goes to pytest)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not alone" $(ARGS) || [ $$? = 5 ]  # 5: none of ARGS
	$(BIN)/python -m pytest -m alone $(ARGS) || [ $$? = 5 ]

lint: $(TESTING) ## ruff, pyrefly and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check --summary=none
	$(BIN)/lint-imports --no-logo

provision: $(TESTING) ## a real Asterisk 22 with SIPp, and Chromium, where this is root on Debian or Ubuntu; an OpenID provider; an SMSC; promtool; libfaketime
	@$(BIN)/python -m tests.oidc.provision
	@$(BIN)/python -m tests.smpp.provision
	@$(BIN)/python -m tests.prometheus.provision
	@$(BIN)/python -m tests.faults.provision
	@if [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then \
		$(BIN)/python -m tests.rig.provision && $(BIN)/python -m tests.browser.provision; \
	else \
		echo "not root on Debian or Ubuntu: what needs Asterisk or Chromium and finds none is skipped, and says so"; \
	fi

bench: $(TESTING) ## every benchmark, one after the other (SCALE=0.1 for a quick look)
	@failed=; for name in $(BENCHMARKS); do \
		echo; echo "== $$name"; $(BIN)/python -m benchmarks.$$name --scale $(SCALE) || failed="$$failed $$name"; \
	done; if [ -n "$$failed" ]; then echo "budget broken:$$failed"; exit 1; fi

crashes: $(TESTING) ## archive jobs, imports and engines, a hundred of each, killed at any point, and the books after each
	ZHUDONG_CRASHES=100 $(BIN)/python -m pytest -s tests/campaigns/history/test_crashes.py \
		tests/campaigns/lists/test_crashes.py tests/campaigns/test_hopper_crashes.py

week: $(TESTING) ## a working week of a call centre of real processes, whose clock is set on, in five minutes (DAYS=8)
	$(BIN)/python -m tests.faults.week $(if $(DAYS),--days $(DAYS)) $(if $(SEED),--seed $(SEED))

faults: $(TESTING) ## each fault RUNS times (100) to a call centre of real processes, into docs/reliability.md: a night (SEED=, JOBS=, FAULTS="link cut;…"; ADD=1 to the page)
	$(BIN)/python -m tests.faults --runs $(or $(RUNS),100) --seed $(or $(SEED),1) $(if $(FAULTS),--faults "$(FAULTS)") --at-once $(or $(JOBS),1) $(if $(ADD),--add)

fuzz: $(FUZZING) ## what strangers write, coverage-guided, SECONDS=60 for each of five; on Linux with Python 3.11 to 3.13
	@for target in ami agi list config socket; do \
		$(BIN)/python -m tests.fuzz $$target $(SECONDS) || exit 1; done

laws: $(TESTING) ## all laws in all scenarios, twenty days each, into docs/reference/laws.md: hours (DAYS=2 for a look)
	$(BIN)/python -m scripts.compare_laws $(if $(DAYS),--days $(DAYS) --rivals $(DAYS))

capacity: $(TESTING) ## what 150 to 100,000 seats need, of what is measured here, into docs/capacity.md: two hours (SCALE=0.2 for half of one)
	@mkdir -p build; for name in load desktop; do \
		$(BIN)/python -m benchmarks.$$name --scale $(SCALE) --json build/$$name.json; done; true
	$(BIN)/python -m scripts.capacity build/load.json build/desktop.json

docs: $(TESTING) ## draw the state machines into docs/reference/machines.md, the dashboards into deploy/grafana
	$(BIN)/python -m scripts.draw_machines
	$(BIN)/python -m scripts.draw_dashboards

site: $(TESTING) ## the documentation as a site with a search, into build/docs/site
	$(BIN)/python -m scripts.site build/docs

package: $(TESTING) ## wheel and sdist into dist/, installed with the locked packages where nothing else is, and run
	$(BIN)/python -m scripts.package

COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --extra build

# atheris 3.1 has nothing for Python 3.11
lock: $(TESTING) ## resolve the lock files anew (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) $(UPGRADE) --extra test --output-file requirements-test.lock
	$(COMPILE) $(UPGRADE) --constraint requirements-test.lock --output-file requirements.lock
	echo 'atheris<3.1' | $(BIN)/uv pip compile - --quiet --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header $(UPGRADE) --output-file requirements-fuzz.lock

clean: ## remove the environment and all caches; downloads kept outside the project stay
	rm -rf $(VENV) build dist *.egg-info .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(FUZZING): requirements-fuzz.lock $(TESTING)
	@$(PIP) --require-hashes -r requirements-fuzz.lock
	@touch $@

$(BIN)/python:
	@scripts/venv.sh $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "setup: installing the locked packages"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(TESTING): requirements-test.lock $(RUNTIME)
	@echo "setup: installing the locked test tools"
	@$(PIP) --require-hashes -r requirements-test.lock
	@touch $@
