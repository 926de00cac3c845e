# llmgw. Each target installs what it needs into .venv by itself; `make` alone lists them.

PYTHON := $(firstword $(foreach name,python3.13 python3.12 python3.11 python3.14 python3,$(shell command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(name))))
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test check format bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.run ## serve, with no configuration: data plane on 127.0.0.1:8080, admin API on 127.0.0.1:8081
	@exec $(BIN)/llmgw serve

test: .venv/.dev .redis/redis-server ## run every test
	$(BIN)/python -m pytest

check: .venv/.dev ## format, lint, types, import contracts, policies, generated pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	env -i PATH="$$PATH" $(BIN)/llmgw check policies
	$(BIN)/python -m tests.faults.errors_page --check
	$(BIN)/python -m gateway.policy.json_schema | diff - docs/policy.schema.json

format: .venv/.dev ## put the code into its standard form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev ## measure beside other gateways: about 12 minutes
	$(BIN)/python -m bench

lock: .venv/.dev ## resolve requirements*.txt anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade \
		--extra build --output-file requirements.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade \
		--constraint requirements.txt --extra dev --output-file requirements-dev.txt pyproject.toml

clean: ## remove what the other targets installed
	rm -rf .venv .redis *.egg-info

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "llmgw needs Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -m venv .venv 2>/dev/null || { rm -rf .venv; scripts/get-venv.sh $(PYTHON); $(PYTHON) -m venv .venv; }

.venv/.run: requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.redis/redis-server:
	scripts/get-redis.sh .redis
