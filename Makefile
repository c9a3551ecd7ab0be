# SPDX-License-Identifier: Apache-2.0
# Everything a newcomer or CI types. Stamps live inside the environment, so that removing it forgets them too.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
BIN := .venv/bin
STAMPS := .venv/.stamps
ARGS ?=
RUN_FILES := requirements/base.txt requirements/embedded.txt requirements/model.txt
DEV_FILES := $(RUN_FILES) requirements/dev.txt
E2E_FILES := $(DEV_FILES) requirements/e2e.txt
# A smaller group never removes what a larger one installed: the largest group ever asked for stays.
INSTALLED := $(if $(wildcard $(STAMPS)/e2e),$(E2E_FILES),$(if $(wildcard $(STAMPS)/dev),$(DEV_FILES),$(RUN_FILES)))
# Many offices have a certificate authority of their own; the system's store knows it, uv's built-in one cannot.
STORE := $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem)
UV := $(BIN)/uv $(if $(STORE),--system-certs)
SYNC := $(UV) pip sync --quiet --require-hashes --python $(BIN)/python
COMPILE := $(UV) pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links

.PHONY: help run test test-slow test-fault matrix lint types contracts bench vendor e2e reference lock clean

help: ## show what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

run: $(STAMPS)/run ## start Smartflow with its stores on this machine (SMARTFLOW_PORT, default 8080)
	@exec $(BIN)/python manage.py up $(ARGS)

test: $(STAMPS)/dev ## run the tests of what it does; `make contracts` has those of how it is built
	@$(BIN)/python -m pytest -n auto --ignore=tests/contracts $(ARGS)

test-slow: $(STAMPS)/dev ## run the tests that take more than a few seconds
	@$(BIN)/python -m pytest -m "slow and not e2e and not fault" $(ARGS)

test-fault: $(STAMPS)/dev ## run the tests that kill processes and stop stores
	@$(BIN)/python -m pytest -m "fault and not e2e" $(ARGS)

matrix: $(STAMPS)/dev ## run official clients against every provider and write docs/reference/compatibility.md
	@$(BIN)/python -m pytest -n auto -m matrix tests/matrix --matrix-page docs/reference/compatibility.md $(ARGS)

lint: $(STAMPS)/dev ## check style of code and templates
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@find templates -name '*.html' -exec $(BIN)/djade --target-version 5.2 --check {} +

types: $(STAMPS)/dev ## check types
	@$(BIN)/mypy

contracts: $(STAMPS)/dev ## check imports, migrations and the other agreements
	@$(BIN)/lint-imports
	@$(BIN)/python manage.py makemigrations --check --dry-run --settings tests.contracts.offline
	@$(BIN)/python -m pytest tests/contracts $(ARGS)

bench: $(STAMPS)/dev ## measure the gateway and print ratios
	@$(BIN)/python -m bench $(ARGS)

vendor: ## check the copies of other people's browser code against their hashes
	@cd static/vendor && sha256sum --check --quiet SHA256SUMS && echo "static/vendor is as recorded"

e2e: $(STAMPS)/e2e ## run the browser tests (needs Chromium)
	@$(BIN)/python -m pytest -m e2e $(ARGS)

reference: $(STAMPS)/dev ## write the pages under docs/reference that come from the code
	@$(BIN)/python -m tests.contracts.reference $(ARGS)

lock: $(STAMPS)/bootstrap ## compile requirements/*.in again (the only target that chooses versions)
	@for group in bootstrap base embedded dev e2e; do \
		echo "compiling requirements/$$group.txt"; \
		$(COMPILE) $(ARGS) requirements/$$group.in -o requirements/$$group.txt || exit 1; done
	@echo "compiling requirements/model.txt"
	@$(COMPILE) --no-deps $(ARGS) requirements/model.in -o requirements/model.txt

clean: ## remove the environment and caches; your data in var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./var -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(STAMPS)/bootstrap: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Smartflow needs Python 3.11 or newer: put it first in PATH or say make PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make environments: install its venv package (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "making the environment in .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/bootstrap.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/run: $(STAMPS)/bootstrap $(RUN_FILES)
	@echo "installing what Smartflow runs on (about 170 MB the first time)"
	@$(SYNC) $(INSTALLED)
	@touch $@

$(STAMPS)/dev: $(STAMPS)/bootstrap $(DEV_FILES)
	@echo "installing what the tests need"
	@$(SYNC) $(if $(wildcard $(STAMPS)/e2e),$(E2E_FILES),$(DEV_FILES))
	@touch $@ $(STAMPS)/run

$(STAMPS)/e2e: $(STAMPS)/bootstrap $(E2E_FILES)
	@echo "installing what the browser tests need"
	@$(SYNC) $(E2E_FILES)
	@touch $@ $(STAMPS)/run $(STAMPS)/dev
